"""Continuations that are too old, from elsewhere, or of unknown epochs; and replies that come later."""

from dataclasses import replace

import pytest

from tests.support.desk import CONTENT, Desk
from tests.support.fleetkeys import ring
from tests.support.limits import TEST_LIMITS
from tests.support.peer import SOURCE, Peer
from tests.support.toys import File, Patient, Seen, Tape
from trickles.errors import InputBusy
from trickles.limits import DEFAULT_LIMITS, MILLISECOND, SECOND, Limits
from trickles.listener.waiting import RENEWED_FOR
from trickles.service import Deferred, Event, Refusal, Reply
from trickles.wire.kinds import Address, Kind, RequestFlag, Suite

MOVED = ("198.51.100.9", 50_000)
LIFE, SKEW = DEFAULT_LIMITS.continuation_life, DEFAULT_LIMITS.clock_skew


def connected(suite: Suite = Suite.SEALED) -> Desk:
    desk = Desk(Tape(), suite=suite)
    desk.connect()
    return desk


@pytest.mark.parametrize("suite", Suite)
def test_an_aged_continuation_earns_a_small_refusal_that_mends_it(suite: Suite) -> None:
    desk = connected(suite)
    desk.now += LIFE + 1
    request = desk.peer.speak(9, 19)
    (answer,) = desk.send(request)
    assert len(answer) <= len(request)
    head = desk.peer.refusal(answer)
    assert head.code is Refusal.EXPIRED
    assert head.transport is not None
    assert head.transport.embryo
    desk.now += 50 * MILLISECOND
    assert len(desk.ask(desk.peer.restart(desk.peer_bound()))) == DEFAULT_LIMITS.initial_window
    assert desk.counted("refused.expired") == 1


def test_a_continuation_lives_as_long_as_promised() -> None:
    desk = connected()
    desk.now += LIFE
    assert len(desk.send(desk.peer.speak(9, 19))) == 20


@pytest.mark.parametrize("ahead", [SKEW + 1, 3600 * SECOND])
def test_a_continuation_of_the_future_is_refused_as_expired_and_mended(ahead: int) -> None:
    desk = connected()
    desk.now -= ahead
    desk.peer.refusal(desk.send(desk.peer.speak(9, 19))[0])
    assert desk.counted("refused.expired") == 1
    desk.now += 50 * MILLISECOND
    assert len(desk.ask(desk.peer.restart(desk.peer_bound()))) > 0


@pytest.mark.parametrize("pause", [1, 7, 31, 41, 61, 97])
def test_one_datagram_is_answered_by_data_at_most_once_whatever_a_clock_says(pause: int) -> None:
    desk = connected()
    datagram, answered, ends = desk.peer.speak(9, 19), 0, desk.now + LIFE
    desk.now -= 3600 * SECOND
    while desk.now <= ends:
        desk.listener._claims.clear()  # the filter alone has to remember
        answered += any(answer[0] == Kind.RESPONSE for answer in desk.send(datagram))
        desk.now += pause * SECOND
    assert answered <= 1


def test_a_user_continuation_of_the_future_is_asked_for_elsewhere() -> None:
    desk = Desk(File(CONTENT))
    desk.connect()
    user = desk.peer.user
    desk.now -= 3600 * SECOND
    desk.listener.drop_caches()
    desk.peer.refusal(desk.send(desk.peer.speak(9, 19))[0])
    (answer,) = desk.send(desk.peer.restart(desk.peer_bound()))
    assert user is not None
    assert desk.peer.refusal(answer).code is Refusal.EPOCH


@pytest.mark.parametrize("idle", [3600 * SECOND, 30 * 24 * 3600 * SECOND])
def test_idle_for_an_hour_or_a_month_costs_one_round_trip(idle: int) -> None:
    desk = Desk(File(CONTENT))
    desk.connect()
    desk.listener.drop_caches()
    desk.now += idle
    desk.peer.refusal(desk.send(desk.peer.speak(9, 19))[0])
    assert len(desk.send(desk.peer.restart(desk.peer_bound(), user=b""))) > 0


def test_another_address_is_challenged_with_no_more_bytes_than_it_sent() -> None:
    desk = connected()
    for flags in (0, RequestFlag.PROBE):
        request = desk.peer.speak(9, 19, flags=flags)
        (answer,) = desk.send(request, MOVED)
        assert len(answer) <= len(request)
        assert desk.peer.open_refusal(answer).code is Refusal.ADDRESS
    assert desk.counted("refused.address") == 2
    assert len(desk.send(desk.peer.speak(9, 19))) == 20  # where it was proved, it still is


def test_a_challenge_is_met_by_using_what_it_brought_from_the_new_address() -> None:
    desk = connected()
    desk.peer.refusal(desk.send(desk.peer.speak(9, 19), MOVED)[0])
    desk.now += 50 * MILLISECOND
    restart = desk.peer.restart(desk.peer_bound())
    assert desk.kinds(desk.send(restart)) == [Kind.REFUSAL]  # from the old address
    packets = desk.peer.read(desk.send(desk.peer.restart(desk.peer_bound()), MOVED))
    assert len(packets) == DEFAULT_LIMITS.initial_window


def test_another_port_of_the_same_host_needs_no_challenge() -> None:
    desk = connected()
    assert len(desk.send(desk.peer.speak(9, 19), (SOURCE[0], 1))) == 20


def test_an_epoch_that_is_not_held_is_hinted_at_with_32_bytes() -> None:
    desk = connected()
    other = Desk(Tape(), keyring=ring(2))
    (answer,) = other.send(desk.peer.speak(9, 19))
    head = desk.peer.open_refusal(answer)
    assert (len(answer), head.code, head.tag) == (32, Refusal.EPOCH, b"")
    assert other.counted("refused.epoch") == 1


def test_after_a_rotation_nobody_notices_until_the_epoch_is_dropped() -> None:
    desk = connected()
    desk.listener.replace_keyring(ring(1, 2))
    assert len(desk.ask(desk.peer.speak(9, 14))) == 10
    desk.now += LIFE // 2
    desk.ask(desk.peer.speak(14, 19))
    assert desk.peer.transport is not None
    assert desk.peer.transport.blob[8:12] == b"\0\0\0\2"
    desk.listener.replace_keyring(ring(2))
    desk.peer.user = None
    assert len(desk.ask(desk.peer.speak(19, 24))) == 10


def test_a_transfer_in_progress_outlives_the_life_of_its_first_continuation() -> None:
    desk = Desk(Tape(), limits=Limits(user_continuation_life=100 * SECOND))
    desk.connect()
    for spoken in range(9, 30):
        desk.now += 10 * SECOND
        assert len(desk.ask(desk.peer.speak(spoken, spoken + 1))) == 2


def test_a_transfer_in_progress_outlives_the_epoch_it_began_under() -> None:
    desk = connected()
    for epoch in range(1, 10):
        desk.listener.replace_keyring(ring(epoch, epoch + 1))
        desk.now += 10 * SECOND
        assert len(desk.ask(desk.peer.speak(8 + epoch, 9 + epoch))) == 2


def test_a_user_continuation_of_an_epoch_not_held_yet_sends_the_client_elsewhere() -> None:
    old, new = Desk(File(CONTENT), keyring=ring(1)), Desk(File(CONTENT), keyring=ring(1, 2))
    old.connect()
    new.peer = old.peer
    new.now = old.now
    old.peer.user = None
    new.ask(old.peer.speak(9, 11, flags=RequestFlag.INPUT, input=b"GET\n", wants=((0, 100),)))
    (answer,) = old.send(old.peer.speak(11, 19))
    assert old.peer.refusal(answer).code in (Refusal.EPOCH, Refusal.NOT_HERE)
    new.listener.drop_caches()
    assert len(new.ask(old.peer.speak(11, 19))) > 0


@pytest.mark.parametrize("user", [b"x", b"\0\0\0\1" + bytes(28), b"\0\0\0\1" + bytes(66), b"\0\0\0\1" + bytes(65_000)])
def test_a_user_continuation_that_does_not_open_ends_the_transfer_visibly(user: bytes) -> None:
    desk = connected()
    (answer,) = desk.send(desk.peer.speak(9, 19, user=user))
    assert desk.peer.refusal(answer).code is Refusal.GONE


def test_an_aged_user_continuation_is_gone() -> None:
    desk = Desk(File(CONTENT), limits=Limits(user_continuation_life=SECOND))
    desk.connect()
    assert len(desk.send(desk.peer.speak(9, 11))) == 4
    desk.now += 12 * SECOND
    assert desk.peer.refusal(desk.send(desk.peer.speak(11, 13))[0]).code is Refusal.GONE


def test_a_user_continuation_of_another_connection_is_gone() -> None:
    mine, other = Desk(File(CONTENT)), Desk(File(CONTENT), name="other")
    mine.connect()
    other.connect()
    assert other.peer.user is not None
    (answer,) = mine.send(mine.peer.speak(9, 19, user=other.peer.user.blob))
    assert mine.peer.refusal(answer).code is Refusal.GONE


# later


def test_a_deferred_reply_comes_out_of_poll_as_if_it_had_come_at_once() -> None:
    service = Patient()
    ready: list[bool] = []
    desk = Desk(Tape())
    desk.connect()
    late = Desk(service)
    late.peer, late.now = desk.peer, desk.now
    late.listener.on_ready = lambda: ready.append(True)
    assert late.send(desk.peer.speak(9, 11)) == []
    assert late.listener.poll(late.now) == []
    event, deferred = service.waiting[0]
    reply = Tape().handle(event)
    deferred.resolve(reply)
    deferred.resolve(Reply(refusal=Refusal.GONE))  # only the first counts
    assert ready == [True]
    (burst,) = late.listener.poll(late.now)
    packets = desk.peer.read(burst.datagrams())
    assert [packet.number for packet in packets] == [19, 20, 21, 22]
    assert late.listener.poll(late.now) == []


def test_a_client_that_waits_is_told_so_now_and_then() -> None:
    service = Patient()
    desk = Desk(Tape())
    desk.connect()
    late = Desk(service)
    late.peer, late.now = desk.peer, desk.now
    late.send(desk.peer.speak(9, 11))
    told = []
    for _ in range(3):
        due = late.listener.next_timeout()
        assert due is not None
        assert late.listener.poll(due - 1) == []
        (burst,) = late.listener.poll(due)
        assert desk.peer.refusal(burst.datagrams()[0]).code is Refusal.WORKING
        told.append((due - late.now) // MILLISECOND)
    assert told == [4, 32, 256]
    assert late.listener.next_timeout() == late.now + RENEWED_FOR, "from now on the client asks"
    service.waiting[0][1].resolve(Reply())
    assert late.listener.next_timeout() is None


def test_a_service_that_knows_the_answer_already_may_defer_it_all_the_same() -> None:
    class Ready(Patient):
        __slots__ = ()

        def handle(self, event: Event) -> Deferred:
            deferred = super().handle(event)
            deferred.resolve(Reply(((0, b"now"),)))
            return deferred

    desk = Desk(Ready())
    assert desk.send(desk.peer.hello(desk.keyring.newest(desk.now), wanted=9)) == []
    (burst,) = desk.listener.poll(desk.now)
    assert desk.peer.open(burst.datagrams()[0]).data == b"now"


class AtWork(Patient):
    """Defers all but hellos that ask for nothing."""

    def handle(self, event: Event) -> Reply | Deferred:  # type: ignore[override]
        return Reply() if event.early and not event.input else super().handle(event)


def proved(desk: Desk, name: str, source: Address) -> Peer:
    """A peer whose request for more, by a proved address, was not answered at once."""
    peer = Peer(name)
    peer.read(desk.send(peer.hello(desk.keyring.newest(desk.now)), source))
    assert desk.send(peer.restart(peer.bound()), source) == []
    return peer


def slow(desk: Desk, name: str, source: Address = SOURCE) -> list[bytes]:
    """The answers to a hello that asks for what takes long."""
    return desk.send(Peer(name).hello(desk.keyring.newest(desk.now), b"slow"), source)


FEW_WAIT = replace(TEST_LIMITS, max_waiting=3)


def test_what_waits_is_bounded() -> None:
    service = Patient()
    desk = Desk(service, limits=FEW_WAIT)
    answers = [slow(desk, f"{n}") for n in range(5)]
    assert [len(each) for each in answers] == [0, 0, 0, 1, 1]
    assert desk.counted("answered") == 2, "with a connection, to ask on by a proved address"
    service.waiting[0][1].resolve(Reply())
    assert slow(desk, "late") == []


def test_one_host_does_not_keep_others_from_waiting() -> None:
    service, other = AtWork(), ("198.51.100.9", 40_000)
    desk = Desk(service, limits=FEW_WAIT)
    peers = [proved(desk, f"{n}", SOURCE) for n in range(3)]
    late = Peer("late")
    late.read(desk.send(late.hello(desk.keyring.newest(desk.now)), other))
    bursts = desk.listener.handle(late.restart(late.bound()), other, now=desk.now)
    ((refusal,),) = [list(burst.datagrams()) for burst in bursts]
    assert peers[0].refusal(bytes(refusal)).code is Refusal.BUSY  # the oldest of the host that has all places
    assert bursts[0].destination == SOURCE
    service.waiting[0][1].resolve(Reply())
    service.waiting[3][1].resolve(Reply(((0, b"late"),)))
    (burst,) = desk.listener.poll(desk.now)
    assert burst.destination == other
    proved(desk, "more", SOURCE)  # a place is free again
    with pytest.raises(AssertionError):
        proved(desk, "too many", SOURCE)
    assert desk.counted("refused.busy") == 2


def test_addresses_that_are_not_proved_have_one_share_together() -> None:
    """Anybody can send hellos from any number of addresses: they keep nobody out who has one."""
    service = AtWork()
    desk = Desk(service, limits=replace(TEST_LIMITS, max_waiting=8))
    for number in range(8):
        assert slow(desk, f"{number}", (f"203.0.113.{number}", 1)) == []
    honest = Peer("honest")
    honest.read(desk.send(honest.hello(desk.keyring.newest(desk.now))))
    bursts = desk.listener.handle(honest.restart(honest.bound()), SOURCE, now=desk.now)
    assert [burst.destination[0] for burst in bursts] == ["203.0.113.0"]
    assert service.waiting[-1][0].peer == SOURCE[0], "it waits in the place of the oldest"
    assert desk.counted("refused.busy") == 0
    (turned_out,) = Peer("0").read([bytes(each) for burst in bursts for each in burst.datagrams()])
    assert turned_out.transport is not None, "it can ask again, by its address if that is true"


def test_a_service_that_finds_its_input_busy_is_asked_again() -> None:
    def busy(event: Event) -> Reply:
        if event.early:
            return Tape().handle(event)
        raise InputBusy

    desk = Desk(Seen(busy))
    desk.greet()
    (answer,) = desk.send(desk.peer.restart(desk.peer_bound()))
    assert desk.peer.refusal(answer).code is Refusal.BUSY
    assert desk.counted("service.errors") == 0


def test_what_waited_when_the_caches_were_lost_is_not_answered() -> None:
    service = Patient()
    desk = Desk(service)
    desk.send(desk.peer.hello(desk.keyring.newest(desk.now)))
    desk.listener.drop_caches()
    service.waiting[0][1].resolve(Reply())
    assert desk.listener.poll(desk.now) == []
    assert desk.listener.next_timeout() is None


def test_events_name_the_peer_and_its_connection() -> None:
    seen = Seen(File(CONTENT).handle)
    desk = Desk(seen)
    desk.connect()
    desk.peer.refusal(desk.send(desk.peer.speak(9, 11), MOVED)[0])
    desk.now += 50 * MILLISECOND
    desk.send(desk.peer.restart(desk.peer_bound()), MOVED)
    assert [event.peer for event in seen.events] == [SOURCE[0], SOURCE[0], MOVED[0]]
    assert {event.connection for event in seen.events} == {desk.peer.session.identity}
