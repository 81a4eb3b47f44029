"""Requests that wait for a service: what is due comes out in order, and waiting costs others nothing."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

import pytest

from tests.support.desk import Desk
from tests.support.limits import TEST_LIMITS
from tests.support.peer import SOURCE
from tests.support.toys import Patient, Tape
from trickles.limits import MILLISECOND
from trickles.listener.responder import Grant
from trickles.listener.waiting import RENEWED_FOR, Waiting
from trickles.service import Deferred, Refusal, Reply
from trickles.wire.awaiting import LEAVES, LOOKED, Awaited, await_body, connection_name, parse_awaited_untrusted
from trickles.wire.kinds import Address, Kind, RequestFlag


class Counted(Deferred):
    """A deferred reply that counts how often any of them is looked up."""

    __slots__ = ()
    looks: ClassVar[list[int]] = [0]

    def __hash__(self) -> int:
        self.looks[0] += 1
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def test_a_full_house_of_waiting_requests_costs_no_look_ups_for_anybody_else() -> None:
    desk = Desk(Tape())
    desk.connect()
    waiting = desk.listener._replier._waiting
    for number in range(TEST_LIMITS.max_waiting):
        waiting.add(Counted(), GRANT, desk.now + 1_000 * MILLISECOND + number)
    Counted.looks[0] = 0
    for lo in range(9, 19):
        assert desk.send(desk.peer.speak(lo, lo + 1))
        assert desk.listener.poll(desk.now) == []
        assert desk.listener.next_timeout() == desk.now + 1_000 * MILLISECOND
    assert Counted.looks[0] <= 4 * 10


def grant() -> Grant:
    late = Desk(Patient())
    desk = Desk(Tape())
    desk.connect()
    late.peer, late.now = desk.peer, desk.now
    late.send(desk.peer.speak(9, 11))
    ((held, _),) = late.listener._replier._waiting._grants.values()
    return held


GRANT = grant()


@pytest.mark.parametrize("seed", range(20))
def test_what_is_due_agrees_with_a_list_and_nothing_piles_up(seed: int) -> None:
    chance, waiting, plain, now = Random(seed), Waiting(), dict[Deferred, int | None](), 0
    for _ in range(3_000):
        act = chance.randrange(4)
        if act < 2:
            again = bool(plain) and chance.random() < 0.3
            deferred = chance.choice(list(plain)) if again else Deferred()
            plain[deferred] = due = now + chance.randrange(100)
            (waiting.remind if again else waiting.add)(deferred, GRANT, due)
        elif act == 2 and plain:
            deferred = chance.choice(list(plain))
            assert waiting.remove(deferred)
            assert not waiting.remove(deferred)
            del plain[deferred]
        else:
            now += chance.randrange(10)
            ready = {deferred for deferred, _ in waiting.pop_due(now)}
            assert ready == {each for each, due in plain.items() if due is not None and due <= now}
            plain |= dict.fromkeys(ready)
        assert waiting.next_notice == min((due for due in plain.values() if due is not None), default=None)
        assert len(waiting) == len(plain)
        assert len(waiting._due) <= 2 * len(plain) + 66
    waiting.clear()
    assert (len(waiting), waiting.next_due) == (0, None)


class Left(Patient):
    """Defers every answer, and notes whose clients left."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[bytes] = []

    def left(self, connection: bytes) -> None:
        self.gone.append(connection)


def at_work(service: Patient) -> Desk:
    """A desk whose service is at work on request 2; its peer's address is proved."""
    desk, late = Desk(Tape()), Desk(service)
    desk.connect()
    late.peer, late.now = desk.peer, desk.now
    assert late.send(desk.peer.speak(9, 11)) == []
    return late


def awaited(
    desk: Desk, numbers: list[int], source: Address = SOURCE, others: Sequence[tuple[bytes, int]] = ()
) -> Awaited | None:
    """The answer to an AWAIT that names those numbers."""
    answers = desk.send(desk.peer.seal(await_body(numbers, others=others), kind=Kind.AWAIT), source)
    if not answers:
        return None
    (answer,) = answers
    found, clear, tag = parse_awaited_untrusted(answer)
    desk.peer.session.check_untrusted(clear, tag)
    assert found.number == desk.peer.number
    assert len(answer) <= 200
    return found


def test_a_client_is_answered_which_of_its_requests_are_at_work() -> None:
    desk = at_work(service := Left())
    number = desk.peer.number
    first = awaited(desk, [number + 7, number])
    assert first is not None
    assert first.mask == 0b10
    service.waiting[0][1].resolve(Reply())
    again = awaited(desk, [number])
    assert again is not None
    assert (again.mask, again.incarnation) == (0, first.incarnation)
    desk.listener.drop_caches()
    other = awaited(desk, [number])
    assert other is not None
    assert other.incarnation not in (0, first.incarnation), "its work is another process's"


def test_a_notice_has_the_same_incarnation() -> None:
    desk = at_work(Left())
    (burst,) = desk.listener.poll(desk.listener.next_timeout() or 0)
    found = awaited(desk, [1])
    assert found is not None
    assert desk.peer.refusal(burst.datagrams()[0]).incarnation == found.incarnation


def test_a_notice_to_a_hello_lets_the_client_ask_and_leave() -> None:
    desk = Desk(service := Left())
    assert desk.greet() == []
    (burst,) = desk.listener.poll(desk.listener.next_timeout() or 0)
    (notice,) = burst.datagrams()
    assert len(notice) <= 200
    assert desk.peer.refusal(notice).code is Refusal.WORKING
    found = awaited(desk, [0])
    assert found is not None
    assert found.mask == 1
    assert desk.send(desk.peer.seal(await_body([], LEAVES), kind=Kind.AWAIT)) == []
    assert service.gone == [desk.peer.session.identity]
    assert desk.listener.next_timeout() is None


def test_what_is_not_renewed_is_dropped_and_what_is_renewed_stays() -> None:
    desk = at_work(service := Left())
    for _ in range(10):
        desk.now += RENEWED_FOR // 2
        desk.listener.poll(desk.now)
        assert awaited(desk, [])
        assert service.gone == []
    desk.now += RENEWED_FOR
    assert desk.listener.next_timeout() == desk.now
    assert desk.listener.poll(desk.now) == []
    assert service.gone == [desk.peer.session.identity]
    assert desk.counted("unrenewed") == 1
    assert desk.listener.next_timeout() is None
    service.waiting[0][1].resolve(Reply())
    assert desk.listener.poll(desk.now) == [], "nobody waits for it"


def test_a_question_counts_once_and_in_order() -> None:
    """Also at a replica that has never seen it, and after its replay filter has forgotten it."""
    desk = at_work(service := Left())
    number = desk.peer.number
    old, late = (desk.peer.seal(await_body([number]), kind=Kind.AWAIT) for _ in range(2))
    leaving = goodbye(desk)
    assert len(desk.send(late)) == 1
    for _ in range(2):
        assert desk.send(old) == [], "older than the last one"
        desk.listener._forget()
        assert desk.send(late) == [], "a copy"
    assert desk.counted("dropped.await") == 4
    assert awaited(desk, [number])
    assert desk.send(leaving) == []
    assert (desk.counted("dropped.goodbye"), service.gone) == (1, []), "it asked after that"
    desk.now += RENEWED_FOR
    desk.send(late)
    desk.listener.poll(desk.now)
    assert service.gone == [desk.peer.session.identity], "not renewed"


def test_a_question_that_is_older_than_a_waiting_request_is_a_copy() -> None:
    desk = at_work(service := Left())
    old = desk.peer.seal(await_body([desk.peer.number]), kind=Kind.AWAIT)
    assert desk.send(desk.peer.speak(11, 13)) == []
    assert desk.send(old) == []
    assert (desk.counted("dropped.await"), service.gone) == (1, [])


def test_a_connection_without_work_is_answered_and_renews_no_other() -> None:
    desk, (name, number) = two_at_work(service := Left())
    service.waiting[-1][1].resolve(Reply())
    desk.listener.poll(desk.now)
    desk.now += RENEWED_FOR // 2
    found = awaited(desk, [], others=[(name, number)])
    assert found is not None
    assert found.mask == LOOKED | 1
    desk.now += RENEWED_FOR // 2
    desk.listener.poll(desk.now)
    assert [connection_name(each) for each in service.gone] == [name]


def two_at_work(service: Patient, other_source: Address = SOURCE) -> tuple[Desk, tuple[bytes, int]]:
    """A desk at whose service two clients wait; the second one is called as an AWAIT of the first would."""
    desk, first = Desk(service), Desk(Tape())
    second = Desk(Tape(), name="other")
    for each in (first, second):
        each.connect()
    desk.now = max(first.now, second.now)
    assert desk.send(second.peer.speak(9, 11), other_source) == []
    named = connection_name(second.peer.session.identity), second.peer.number
    desk.peer = first.peer
    assert desk.send(first.peer.speak(9, 11)) == []
    return desk, named


def test_one_client_renews_others_of_its_host_by_name() -> None:
    desk, (name, number) = two_at_work(service := Left(), (SOURCE[0], SOURCE[1] + 1))
    own = desk.peer.number
    for _ in range(4):
        desk.now += RENEWED_FOR // 2
        desk.listener.poll(desk.now)
        found = awaited(desk, [own], others=[(name, number + 1), (bytes(8), number), (name, number)])
        assert found is not None
        assert found.mask == LOOKED | 0b1001
    assert service.gone == []
    for _ in range(3):
        desk.now += RENEWED_FOR // 2
        desk.listener.poll(desk.now)
        assert awaited(desk, [own])
    (gone,) = service.gone
    assert connection_name(gone) == name, "it is not renewed any more"


class Elsewhere(Desk):
    """A desk whose peer is on another host."""

    PLACE: ClassVar[Address] = ("192.0.2.8", SOURCE[1])

    def send(self, datagram: bytes, source: Address = PLACE) -> list[bytes]:
        return super().send(datagram, source)


def test_nobody_renews_the_requests_of_another_host() -> None:
    desk, first, second = Desk(service := Left()), Desk(Tape()), Elsewhere(Tape(), name="other")
    first.connect()
    second.connect()
    desk.now = max(first.now, second.now)
    assert desk.send(second.peer.speak(9, 11), Elsewhere.PLACE) == []
    desk.peer = first.peer
    found = awaited(desk, [], others=[(connection_name(second.peer.session.identity), second.peer.number)])
    assert found is not None
    assert found.mask == LOOKED
    assert len(service.waiting) == 1


def test_names_are_forgotten_with_their_requests() -> None:
    desk, _ = two_at_work(service := Left())
    waiting = desk.listener._replier._waiting
    assert len(waiting._named) == 2
    for _, deferred in service.waiting:
        deferred.resolve(Reply())
    assert (len(waiting), waiting._named) == (0, {})


def test_a_dropped_request_may_be_claimed_again() -> None:
    """The client was alive after all."""
    desk = at_work(service := Left())
    desk.now += RENEWED_FOR
    desk.listener.poll(desk.now)
    assert desk.send(desk.peer.speak(9, 11, flags=RequestFlag.PROBE)) == []
    assert len(service.waiting) == 2
    service.waiting[1][1].resolve(Tape().handle(service.waiting[1][0]))
    (burst,) = desk.listener.poll(desk.now)
    assert len(desk.peer.read(burst.datagrams())) == 4


def goodbye(desk: Desk) -> bytes:
    return desk.peer.seal(await_body([], LEAVES), kind=Kind.AWAIT)


def test_a_goodbye_ends_the_work_and_gets_no_answer() -> None:
    desk = at_work(service := Left())
    assert desk.send(goodbye(desk)) == []
    assert service.gone == [desk.peer.session.identity]
    assert desk.listener.next_timeout() is None
    service.waiting[0][1].resolve(Reply())
    assert desk.listener.poll(desk.now) == []


def test_a_goodbye_that_is_replayed_late_or_from_elsewhere_has_no_effect() -> None:
    desk = at_work(service := Left())
    old = goodbye(desk)
    assert desk.send(desk.peer.speak(11, 13)) == []
    assert desk.send(old, ("192.0.2.8", 40_000)) == [], "another address"
    assert desk.counted("dropped.await") == 1
    assert desk.send(old) == [], "a newer request is at work"
    assert desk.counted("dropped.goodbye") == 1
    assert desk.send(old) == [], "again"
    assert desk.counted("dropped.await") == 2
    assert service.gone == []
    found = awaited(desk, [desk.peer.number])
    assert found is not None


def test_a_goodbye_that_is_forged_or_of_another_connection_has_no_effect() -> None:
    desk = at_work(service := Left())
    real = goodbye(desk)
    for at in (0, 1, 100, 130, 140, len(real) - 1):
        forged = bytearray(real)
        forged[at] ^= 1
        assert desk.send(bytes(forged)) == []
    stranger = Desk(Tape(), name="stranger")
    stranger.connect()
    assert desk.send(stranger.peer.session.seal_request(real[:133], await_body([], LEAVES))) == [], "under its keys"
    assert service.gone == []
    assert desk.send(goodbye(stranger)) == [], "its own"
    assert service.gone == [stranger.peer.session.identity]
    found = awaited(desk, [desk.peer.number - 1])
    assert found is not None
    assert found.mask == 1


def test_a_service_that_fails_when_a_client_leaves_is_reported() -> None:
    class Failing(Left):
        def left(self, connection: bytes) -> None:
            raise RuntimeError("no")

    desk = at_work(Failing())
    errors: list[Exception] = []
    desk.listener.report_errors(errors.append)
    assert desk.send(goodbye(desk)) == []
    assert [str(each) for each in errors] == ["no"]


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\x0d" + bytes(60), b"\0\x01abc", b"\1\xff" + bytes(60)])
def test_a_malformed_await_is_dropped(body: bytes) -> None:
    desk = at_work(service := Left())
    assert desk.send(desk.peer.seal(body.ljust(51, b"\0") if len(body) > 9 else body, kind=Kind.AWAIT)) == []
    assert desk.counted("dropped.malformed") == 1
    assert service.gone == []
