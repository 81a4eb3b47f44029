"""What restarts use up: windows, continuations, proof; and what a client gets that goes on without new proof."""

from itertools import pairwise

import pytest

from tests.support.desk import ROUND_TRIP, Desk
from tests.support.toys import Tape
from trickles.limits import DEFAULT_LIMITS, MILLISECOND, SECOND
from trickles.listener.claims import Claims
from trickles.listener.pacing import Backoff, Pace, newly_proved
from trickles.service import Deferred, Event, Refusal, Reply
from trickles.trickle import Episode
from trickles.wire.kinds import RequestFlag, ResponseFlag

CLEAN, PROBE = RequestFlag.CLEAN, RequestFlag.PROBE
LEAST, MOST = DEFAULT_LIMITS.min_restart_interval, DEFAULT_LIMITS.most_backoff
PROVED = DEFAULT_LIMITS.proved_restart_interval
ELSEWHERE = ("198.51.100.9", 40_000)


def connected(**options: object) -> Desk:
    desk = Desk(Tape(), **options)  # type: ignore[arg-type]
    desk.connect()
    desk.now += ROUND_TRIP
    return desk


def timed_out(pace: Pace, now: int, *, new: int = 0) -> Pace | None:
    return pace.timed_out(now, new, now, DEFAULT_LIMITS)


# the pace itself


def test_restarts_without_new_proof_wait_twice_as_long_each_time_up_to_a_bound() -> None:
    pace, times = Pace(), list[int]()
    for now in range(0, 60 * SECOND, 10 * MILLISECOND):
        after = timed_out(pace, now)
        if after is not None:
            pace = after
            times.append(now)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[:8] == [LEAST << doubled for doubled in range(8)]
    assert set(waits[8:]) == {MOST}


def test_new_proof_ends_the_doubling_and_only_much_of_it_all_waiting() -> None:
    pace, now = Pace(), 0
    for _ in range(6):
        now = max(now, pace.backoff.due)
        pace = timed_out(pace, now) or pytest.fail("too early")
    assert pace.backoff.wait > PROVED
    for _ in range(DEFAULT_LIMITS.substantial_proof - 1):
        assert timed_out(pace, now + PROVED - 1, new=1) is None
        now += PROVED
        pace = timed_out(pace, now, new=1) or pytest.fail("new proof was there")
        assert pace.backoff.wait == 2 * PROVED  # for the next that proves nothing
    pace = timed_out(pace, now, new=1) or pytest.fail("much was proved")
    assert pace.backoff == Backoff(now + LEAST, LEAST)


def test_continuations_are_used_up_by_their_time_of_issue_whatever_the_order() -> None:
    pace = Pace()
    for base, (issued, used) in enumerate(((5, 5), (9, 9), (7, 9), (10, 10))):
        pace = pace.paused(issued, base, 1, DEFAULT_LIMITS)
        assert (pace.used, pace.shown) == (used, base)


def test_the_latest_two_restarts_are_known_by_their_exact_base() -> None:
    claims = Claims()
    for base in range(10, 70, 10):
        assert claims.restart((Episode(base, 2, 2), 1200), base + 2, Pace(used=base))
    assert claims.find(60) == (Episode(60, 2, 2), 1200)
    assert claims.find(50) is not None
    assert claims.find(55) is claims.find(40) is None
    claims.undo(Pace(used=50))
    assert claims.find(60) is None
    assert claims.find(50) is not None
    assert claims.pace == Pace(used=50)


@pytest.mark.parametrize(("shown", "new"), [(0, 15), (5, 10), (7, 8), (10, 8), (12, 8), (19, 1), (20, 0), (99, 0)])
def test_only_numbers_that_were_not_shown_before_are_new(shown: int, new: int) -> None:
    assert newly_proved(((0, 7, 1), (12, 20, 2)), shown) == new


# at a listener


def test_two_continuations_in_turn_are_one_pause() -> None:
    desk = connected()
    older = desk.peer.blob
    desk.now += DEFAULT_LIMITS.continuation_life // 3
    desk.ask(desk.peer.speak(9, 10))
    assert desk.peer.blob != older
    earned, bound = 0, desk.peer_bound()
    for attempt in range(400):
        blob = older if attempt & 1 else desk.peer.blob
        body = desk.peer.spoken(desk.peer.top, desk.peer.top, restart_base=bound + 100 * attempt)
        body = body._replace(flags=RequestFlag.RESTART | CLEAN)
        earned += len(desk.send(desk.peer.request(body, blob=blob)))
    assert earned <= DEFAULT_LIMITS.idle_window + 2


def test_two_unvalidated_continuations_in_turn_are_one_initial_window() -> None:
    desk = Desk(Tape())
    desk.greet()
    first = desk.peer.blob
    desk.now += ROUND_TRIP
    desk.greet()
    assert desk.peer.blob != first
    earned = 0
    for attempt in range(400):
        body = desk.peer.spoken(0, 0, restart_base=100 + 100 * attempt, runs=(), flags=RequestFlag.RESTART)
        earned += len(desk.send(desk.peer.request(body, blob=first if attempt & 1 else desk.peer.blob)))
    assert earned == DEFAULT_LIMITS.initial_window + 2


def test_moving_to_and_fro_earns_no_more_than_is_proved() -> None:
    desk = connected()
    earned = len(desk.ask(desk.peer.speak(9, 19)))
    proved, sources = len(desk.peer.nonces), (ELSEWHERE, ("192.0.2.7", 40_000))
    for turn in range(100):
        source = sources[turn & 1]
        (refused,) = desk.send(desk.peer.speak(desk.peer.top - 1, desk.peer.top), source)
        assert desk.peer.refusal(refused).code is Refusal.ADDRESS
        answers = desk.send(desk.peer.restart(desk.peer_bound() + 1000 * turn), source)
        earned += len(answers)
        desk.peer.read(answers[:1])  # one is received, the rest is lost
        desk.now += ROUND_TRIP
    assert desk.counted("refused.address") == 100
    assert earned <= proved + 2 * (len(desk.peer.nonces) - proved) + 20


class Picky:
    """A service that is busy for whoever wants the byte at 7."""

    def handle(self, event: Event) -> Reply | Deferred:
        if event.wants and event.wants[0][0] == 7:
            return Reply(refusal=Refusal.BUSY)
        return Tape().handle(event)


def test_a_refused_request_gives_back_nothing_of_anothers_restart() -> None:
    desk = Desk(Picky())
    desk.connect()
    earned, bound = 0, desk.peer_bound()
    for attempt in range(400):
        base = bound + 200 * attempt
        earned += len(desk.send(desk.peer.restart(base, flags=CLEAN)))
        (refused,) = desk.send(desk.peer.restart(base + 100, wants=((7, 8),))) or (b"",)
        assert not refused or desk.peer.refusal(refused).code is Refusal.BUSY
    assert earned <= DEFAULT_LIMITS.idle_window + 2


class Moody:
    """A tape that is busy for the first requests after it was told to be."""

    def __init__(self) -> None:
        self.busy = 0

    def handle(self, event: Event) -> Reply | Deferred:
        self.busy -= 1
        return Reply(refusal=Refusal.BUSY) if self.busy >= 0 else Tape().handle(event)


@pytest.mark.parametrize(("flags", "served"), [(0, 2), (CLEAN, 32)])
def test_a_refused_restart_is_worth_as_much_when_it_is_made_again(flags: int, served: int) -> None:
    moody = Moody()
    desk = Desk(moody)
    desk.connect()
    desk.ask(desk.peer.speak(9, 19))
    moody.busy = 3
    flags, base = RequestFlag.RESTART | flags, desk.peer_bound()
    for probe in (0, PROBE, PROBE):
        body = desk.peer.spoken(39, 39, restart_base=base, flags=flags | probe)
        (answer,) = desk.send(desk.peer.request(body))
        assert desk.peer.refusal(answer).code is Refusal.BUSY
        desk.now += MILLISECOND
    assert len(desk.send(desk.peer.request(body))) == served


def test_a_pause_keeps_the_window_where_all_that_was_sent_is_proved() -> None:
    desk = connected()
    desk.ask(desk.peer.speak(9, 19))
    assert len(desk.ask(desk.peer.restart(desk.peer_bound(), flags=CLEAN))) == 32  # of 40: 10, and 30 acknowledged


def test_a_pause_that_hides_what_was_lost_at_the_end_is_a_timeout() -> None:
    desk = connected()
    desk.ask(desk.peer.speak(9, 19), lost=[38])
    assert desk.peer.transport is not None
    packets = desk.ask(desk.peer.restart(desk.peer_bound(), flags=CLEAN))
    assert len(packets) == 2
    assert desk.peer.transport.episode.ssthresh == 19  # half of 39


def test_numbers_that_a_short_answer_left_over_need_no_proof() -> None:
    desk = connected()
    (short,) = desk.ask(desk.peer.speak(9, 19, wants=((0, 5),)))
    assert short.number == 19
    bound = desk.peer_bound()
    assert len(desk.ask(desk.peer.restart(bound, flags=CLEAN))) == 21


def test_elsewhere_a_window_is_worth_an_initial_one_and_later_twice_what_was_proved() -> None:
    desk, other = connected(), Desk(Tape())
    desk.ask(desk.peer.speak(9, 19))
    desk.ask(desk.peer.speak(19, 39))
    other.now, other.peer = desk.now, desk.peer
    assert len(other.ask(desk.peer.restart(desk.peer_bound(), flags=CLEAN))) == DEFAULT_LIMITS.initial_window
    (last,) = desk.ask(desk.peer.restart(desk.peer_bound(), flags=CLEAN))[:1]
    other.now += ROUND_TRIP
    for number in [number for number in desk.peer.nonces if number > last.number + 3]:
        del desk.peer.nonces[number]  # four are received
    assert len(other.ask(desk.peer.restart(desk.peer_bound(), flags=CLEAN))) == 8


def test_a_restart_uses_up_what_was_held_back_below_it() -> None:
    desk = connected()
    old, body = desk.peer.blob, desk.peer.spoken(9, 19)
    assert len(desk.ask(desk.peer.restart(desk.peer_bound(), flags=CLEAN))) == 20
    assert desk.send(desk.peer.request(body, blob=old)) == []
    assert desk.counted("dropped.claimed") == 1


@pytest.mark.parametrize("flags", [0, CLEAN])
def test_a_repeated_restart_begins_the_episode_that_was_begun_and_no_larger_one(flags: int) -> None:
    desk = connected()
    desk.ask(desk.peer.speak(9, 19), lost=[20])
    base = desk.peer_bound()
    desk.ask(desk.peer.restart(base))
    assert desk.peer.transport is not None
    first = desk.peer.transport.episode
    again = desk.peer.spoken(39, 39, restart_base=base, flags=RequestFlag.RESTART | PROBE | flags)
    desk.ask(desk.peer.request(again))
    assert desk.peer.transport.episode == first


def test_a_restart_that_was_never_made_is_not_repeated() -> None:
    desk = connected()
    desk.ask(desk.peer.restart(desk.peer_bound(), flags=CLEAN))
    old = connected()
    for base in range(old.peer_bound() + 1, old.peer_bound() + 20):
        body = old.peer.spoken(19, 19, restart_base=base, flags=RequestFlag.RESTART | PROBE)
        desk.peer.number += 1
        old.peer.number = desk.peer.number
        desk.now += SECOND // 10
        assert desk.send(old.peer.request(body)) == []


# windows of packets that carry nothing


def test_a_reply_to_many_tiny_wants_is_as_long_as_its_bytes_need() -> None:
    desk = connected()
    wants = tuple((1000 * at, 1000 * at + 1) for at in range(32))
    packets = desk.ask(desk.peer.speak(9, 19, wants=wants))
    assert len(packets) == 3  # of 20 that were earned
    assert packets[-1].flags & ResponseFlag.SHORT


def test_who_has_the_packet_that_ended_an_episode_may_only_restart() -> None:
    desk = connected()
    lost = desk.peer.spoken(10, 11)
    (short,) = desk.ask(desk.peer.speak(9, 10, wants=((0, 5),)))
    assert short.flags & ResponseFlag.SHORT
    assert desk.send(desk.peer.speak(10, 12)) == []
    assert desk.counted("dropped.ended") == 1
    assert len(desk.send(desk.peer.request(lost))) == 2  # this one was on its way before
    assert len(desk.ask(desk.peer.restart(desk.peer_bound()))) == 2


@pytest.mark.slow
def test_packets_with_nothing_in_them_grow_no_large_window() -> None:
    desk, windows = connected(), list[int]()
    assert desk.peer.transport is not None
    for turn in range(3_000):
        base, top = desk.peer.transport.episode.base, desk.peer.top
        windows.append(desk.peer_bound() - top)
        wants = tuple((1000 * at, 1000 * at + 1) for at in range(2))
        if not desk.ask(desk.peer.speak(max(base, top - 1), top, wants=wants)):
            desk.ask(desk.peer.restart(desk.peer_bound(), flags=CLEAN, wants=((turn, turn + 1),)))
        desk.now += MILLISECOND
    assert max(windows) <= DEFAULT_LIMITS.idle_window + 2 * Claims.MAX_THIN


def test_full_packets_grow_the_window_as_ever() -> None:
    desk = connected()
    lo = 9
    for _ in range(4):
        top = desk.peer.top
        assert len(desk.ask(desk.peer.speak(lo, top))) == 2 * (top - lo)
        lo = top
