"""Greed: numbers claimed twice, windows hoarded, losses hidden, receipts made up; each earns nothing or one packet."""

from collections.abc import Callable
from random import Random

import pytest

from tests.support.desk import ROUND_TRIP, Desk
from tests.support.peer import Run
from tests.support.toys import Refusing, Tape
from trickles.limits import DEFAULT_LIMITS, MILLISECOND
from trickles.listener.claims import Claims
from trickles.service import Refusal
from trickles.wire.kinds import RequestFlag, ResponseFlag

PROBE, CLEAN = RequestFlag.PROBE, RequestFlag.CLEAN


def connected() -> Desk:
    desk = Desk(Tape())
    desk.connect()
    desk.now += ROUND_TRIP
    return desk


def test_the_same_claim_under_another_number_is_dropped() -> None:
    desk = connected()
    body = desk.peer.spoken(9, 19)
    assert len(desk.send(desk.peer.request(body))) == 20
    assert desk.send(desk.peer.request(body)) == []
    assert desk.counted("dropped.claimed") == 1


@pytest.mark.parametrize(("lo", "hi"), [(9, 19), (9, 10), (18, 19), (12, 14)])
def test_any_overlap_with_an_earlier_claim_is_dropped(lo: int, hi: int) -> None:
    desk = connected()
    desk.send(desk.peer.speak(9, 19))
    assert desk.send(desk.peer.speak(lo, hi)) == []


@pytest.mark.parametrize("wanted", [0, 100, 5_000])
def test_a_probe_of_what_was_served_here_is_told_so_by_one_packet_that_proves_nothing(wanted: int) -> None:
    desk = connected()
    desk.send(desk.peer.speak(9, 19))
    (packet,) = desk.ask(desk.peer.speak(9, 19, flags=PROBE, wants=((0, wanted),)))
    assert packet.flags & ResponseFlag.REPEATED
    assert (packet.number, packet.nonce) == (38, 0)
    assert len(packet.data) == min(wanted, 1200 - 48)


@pytest.mark.parametrize(("lo", "hi"), [(9, 10), (18, 19), (12, 14)])
def test_a_probe_of_any_part_of_what_was_served_here_proves_nothing(lo: int, hi: int) -> None:
    desk = connected()
    desk.send(desk.peer.speak(9, 19))
    (packet,) = desk.ask(desk.peer.speak(lo, hi, flags=PROBE))
    assert (packet.flags & ResponseFlag.REPEATED, packet.nonce) == (ResponseFlag.REPEATED, 0)


@pytest.mark.parametrize("flags", [0, CLEAN])
def test_a_repeated_restart_brings_its_continuation_and_proves_nothing(flags: int) -> None:
    desk = connected()
    base, blob = desk.peer_bound(), desk.peer.blob
    body = desk.peer.spoken(19, 19, restart_base=base, flags=RequestFlag.RESTART | flags)
    first = desk.peer.read(desk.send(desk.peer.request(body)))
    assert first[0].transport is not None
    desk.now += ROUND_TRIP
    (packet,) = desk.ask(desk.peer.request(body._replace(flags=body.flags | PROBE), blob=blob))
    assert packet.transport is not None
    assert packet.transport.episode == first[0].transport.episode
    assert (packet.flags & ResponseFlag.REPEATED, packet.number, packet.nonce) == (ResponseFlag.REPEATED, base, 0)


def test_no_number_is_provable_by_more_than_one_answer() -> None:
    desk = connected()
    proved, chance = list[int](), Random(5)
    speaks = [desk.peer.spoken(lo, hi) for lo in range(9, 19) for hi in range(lo + 1, 20)]
    restarts = [desk.peer.spoken(19, 19, restart_base=29 + each, flags=RequestFlag.RESTART) for each in range(20)]
    for _ in range(2_000):
        body = chance.choice(speaks + restarts)
        body = body._replace(flags=body.flags | chance.choice([0, PROBE, PROBE | CLEAN]))
        for answer in desk.send(desk.peer.request(body)):
            packet = desk.peer.open(answer)
            if packet.nonce:
                proved.append(packet.number)
        desk.now += chance.choice([0, MILLISECOND, 10 * MILLISECOND])
    assert len(proved) > 10
    assert len(set(proved)) == len(proved)


def test_a_probe_of_what_was_not_served_here_earns_all_of_it() -> None:
    desk = connected()
    desk.send(desk.peer.speak(9, 19))
    other = Desk(Tape())
    other.peer = desk.peer
    assert [packet.number for packet in other.ask(desk.peer.speak(9, 19, flags=PROBE))] == list(range(19, 39))


def test_probes_are_answered_no_more_often_than_a_probe_timer_runs() -> None:
    desk = connected()
    desk.send(desk.peer.speak(9, 19))
    answers = []
    for _ in range(50):
        answers += desk.send(desk.peer.speak(9, 19, flags=PROBE))
        desk.now += MILLISECOND
    assert 0 < len(answers) <= 50 * MILLISECOND // DEFAULT_LIMITS.min_probe_interval + 1


def altered(desk: Desk, runs: Callable[[Desk], tuple[Run, ...]]) -> bytes:
    return desk.peer.speak(9, 19, runs=runs(desk))


@pytest.mark.parametrize(
    "runs",
    [
        lambda desk: ((9, 19, desk.peer.run(9, 19)[2] ^ 1),),
        lambda desk: ((9, 19, 0),),
        lambda desk: ((9, 20, desk.peer.run(9, 19)[2]),),
        lambda desk: (desk.peer.run(9, 12), (13, 19, desk.peer.run(14, 19)[2])),
        lambda desk: ((0, 3, desk.peer.run(0, 3)[2]), desk.peer.run(9, 19)),
        lambda desk: ((9, 19, desk.peer.run(9, 14)[2] ^ desk.peer.run(15, 19)[2]),),
        lambda desk: ((9, (1 << 32) - 1, desk.peer.run(9, 19)[2]),),
    ],
    ids=["one bit off", "zero", "one more", "a hole filled", "below the base", "a hole hidden", "everything"],
)
def test_a_proof_that_is_not_one_earns_nothing(runs: Callable[[Desk], tuple[Run, ...]]) -> None:
    desk = connected()
    assert desk.send(altered(desk, runs)) == []
    assert desk.counted("dropped.bad_proof") == 1
    assert len(desk.send(desk.peer.speak(9, 19))) == 20  # and spoils nothing


def test_numbers_of_a_later_episode_prove_nothing_for_an_earlier_one() -> None:
    desk = connected()
    assert desk.peer.transport is not None
    old, base = desk.peer.blob, desk.peer.transport.episode.base
    far = desk.peer_bound() + DEFAULT_LIMITS.max_restart_skip
    assert desk.ask(desk.peer.restart(far))
    runs = (desk.peer.run(base, base + 10), desk.peer.run(far, far + 1))
    assert desk.send(desk.peer.request(desk.peer.spoken(base, far + 1, runs=runs), blob=old)) == []
    assert desk.counted("dropped.bad_proof") == 1


def test_nonces_of_one_connection_prove_nothing_for_another() -> None:
    mine, other = connected(), Desk(Tape(), name="other")
    other.connect()
    assert mine.send(mine.peer.speak(9, 19, runs=other.peer.proof(9))) == []
    assert mine.counted("dropped.bad_proof") == 1


def test_a_second_greeting_with_the_same_secret_teaches_nothing_about_the_first() -> None:
    first, second = connected(), Desk(Tape())
    second.now += 1
    second.greet()
    second.now += ROUND_TRIP
    second.ask(second.peer.restart(second.peer_bound()))
    assert first.peer.session.connection == second.peer.session.connection
    assert first.send(first.peer.speak(9, 19, runs=second.peer.proof(9))) == []


def test_speaking_for_numbers_below_the_episode_earns_nothing() -> None:
    desk = connected()
    assert desk.send(desk.peer.speak(0, 12)) == []
    assert desk.counted("dropped.bad_proof") == 1


def test_speaking_for_nothing_earns_nothing() -> None:
    desk = connected()
    assert desk.send(desk.peer.speak(12, 12)) == []
    assert desk.counted("dropped.nothing_earned") == 1


def test_one_request_never_earns_more_than_a_few_bursts() -> None:
    desk = connected()
    lo = 9
    for _ in range(5):
        top = desk.peer.top
        desk.ask(desk.peer.speak(lo, top))
        lo = top
    earned = desk.send(desk.peer.speak(lo, desk.peer.top))
    assert len(earned) == 4 * DEFAULT_LIMITS.max_burst_bytes // 1200


def test_an_embryo_earns_nothing_but_by_a_restart() -> None:
    desk = Desk(Tape())
    desk.greet()
    assert desk.send(desk.peer.speak(0, 3)) == []
    assert desk.counted("dropped.impatient") == 1


# restarts


@pytest.mark.parametrize("flags", [0, CLEAN, PROBE, CLEAN | PROBE])
@pytest.mark.parametrize("below", [1, 5, 29])
def test_a_restart_below_what_was_earned_is_dropped(flags: int, below: int) -> None:
    desk = connected()
    desk.ask(desk.peer.speak(9, 19))
    assert desk.send(desk.peer.restart(desk.peer_bound() - below, flags=flags)) == []
    assert desk.counted("dropped.bad_proof") == 1


def test_a_restart_far_above_is_dropped() -> None:
    desk = connected()
    bound = desk.peer_bound()
    for base in (bound + DEFAULT_LIMITS.max_restart_skip + 1, (1 << 32) - 1, (1 << 32) - (1 << 16)):
        assert desk.send(desk.peer.restart(base)) == []
    assert desk.counted("dropped.bad_proof") == 3
    assert len(desk.send(desk.peer.restart(bound + DEFAULT_LIMITS.max_restart_skip))) == 2


def hoard(desk: Desk, flags: int, *, every: int, times: int = 40) -> int:
    """Packets that restarts at ever new bases earn with the same continuation and proof."""
    bound, earned = desk.peer_bound(), 0
    for attempt in range(times):
        earned += len(desk.send(desk.peer.restart(bound + 100 * attempt, flags=flags)))
        desk.now += every
    return earned


@pytest.mark.parametrize("flags", [0, CLEAN, PROBE, CLEAN | PROBE])
def test_restarting_again_and_again_hoards_no_window(flags: int) -> None:
    desk = connected()
    earned = hoard(desk, flags, every=MILLISECOND)
    assert 0 < earned <= DEFAULT_LIMITS.idle_window + 2  # one pause, and one restart after loss


@pytest.mark.parametrize("flags", [0, CLEAN, PROBE, CLEAN | PROBE])
def test_an_embryo_is_worth_one_initial_window(flags: int) -> None:
    desk = Desk(Tape())
    desk.greet()
    earned = hoard(desk, flags, every=MILLISECOND)
    assert 0 < earned <= DEFAULT_LIMITS.initial_window + 2


def test_patient_restarts_earn_what_timeouts_earn() -> None:
    desk = connected()
    earned = hoard(desk, 0, every=DEFAULT_LIMITS.min_restart_interval)
    assert earned <= 2 * 40


def test_a_clean_restart_that_hides_losses_never_gets_more_than_the_idle_window() -> None:
    desk = connected()
    for attempt in range(60):
        got = desk.ask(desk.peer.restart(desk.peer_bound() + 100 * attempt, flags=CLEAN))
        assert len(got) <= DEFAULT_LIMITS.idle_window
        for packet in got[1:]:
            del desk.peer.nonces[packet.number]  # all but the first are lost, and hidden
        desk.now += ROUND_TRIP


def test_a_clean_restart_with_a_hole_in_its_proof_is_one_after_loss() -> None:
    desk = connected()
    desk.ask(desk.peer.speak(9, 19), lost=[25])
    bound = desk.peer_bound() + 100
    assert len(desk.send(desk.peer.restart(bound, flags=CLEAN))) == 2


def test_a_restart_just_below_claimed_numbers_does_not_earn_them_twice() -> None:
    desk = connected()
    first = desk.peer_bound()
    served = {packet.number for packet in desk.ask(desk.peer.restart(first + 1, flags=CLEAN))}
    old = Desk(Tape())  # what the peer knew before
    old.connect()
    old.now += ROUND_TRIP
    old.peer.number = desk.peer.number
    again = desk.peer.read(desk.send(old.peer.restart(first, flags=CLEAN)))
    assert not served & {packet.number for packet in again}


@pytest.mark.parametrize("distance", [0, 100, 10_000])
def test_old_proof_earns_nothing_again_however_many_restarts_came_after_it(distance: int) -> None:
    desk = connected()
    old, body = desk.peer.blob, desk.peer.spoken(9, 19)
    assert len(desk.ask(desk.peer.request(body))) == 20
    for _ in range(2 * Claims.MAX_RANGES):
        desk.now += DEFAULT_LIMITS.proved_restart_interval
        assert desk.ask(desk.peer.restart(desk.peer_bound() + distance))
    assert [desk.send(desk.peer.request(body, blob=old)) for _ in range(20)] == 20 * [[]]


def test_a_refused_claim_may_be_made_again_by_its_repeat() -> None:
    desk = Desk(Tape())
    desk.connect()
    busy = Desk(Refusing(Refusal.BUSY))
    busy.peer = desk.peer
    body = desk.peer.spoken(9, 19)
    assert len(busy.send(desk.peer.request(body))) == 1
    assert len(busy.send(desk.peer.request(body._replace(flags=PROBE)))) == 1
    assert busy.counted("refused.busy") == 2


def test_a_refused_restart_may_be_made_again_by_its_repeat() -> None:
    desk = Desk(Refusing(Refusal.BUSY))
    greeter = Desk(Tape())
    greeter.greet()
    desk.peer = greeter.peer
    bound = greeter.peer_bound()
    for flags in (0, PROBE, PROBE):
        (answer,) = desk.send(desk.peer.restart(bound, flags=flags))
        assert desk.peer.refusal(answer).code is Refusal.BUSY
        desk.now += MILLISECOND


def test_runs_and_wants_beyond_their_bounds_are_dropped() -> None:
    desk = connected()
    for _ in range(2):
        desk.ask(desk.peer.speak(9, desk.peer.top) if desk.peer.top == 19 else desk.peer.speak(19, 39))
    runs = tuple(desk.peer.run(number, number + 1) for number in range(9, 9 + 2 * 33, 2))
    assert desk.send(desk.peer.speak(9, 10, runs=runs)) == []
    assert desk.send(desk.peer.speak(39, 40, wants=((0, 10),) * 33)) == []
    assert len(desk.send(desk.peer.speak(39, 40, wants=((0, 10),) * 32))) > 0


def test_forgetting_the_claims_gains_a_client_no_more_than_a_new_connection() -> None:
    desk = connected()
    first = desk.send(desk.peer.speak(9, 19))
    desk.listener.drop_caches()
    assert len(desk.send(desk.peer.speak(9, 19))) == len(first)
    assert desk.send(desk.peer.speak(9, 19)) == []
