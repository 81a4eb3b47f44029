"""Requests that wait for news: notices with heartbeats, and replies that come late."""

from hashlib import sha256

from tests.support.desk import Desk
from tests.support.fleetkeys import WALL, ring
from tests.support.peer import SOURCE
from tests.support.toys import Patient, Tape
from trickles.keyring import Purpose
from trickles.limits import SECOND
from trickles.listener.waiting import RENEWED_FOR
from trickles.service import Deferred, Event, Heartbeat, Refusal, Reply
from trickles.wire.kinds import address_bytes


def subject(about: bytes, host: str = SOURCE[0]) -> bytes:
    """The name of these news towards clients of that host."""
    context = address_bytes(host) + sha256(about).digest()
    return ring().newest(WALL).derive(Purpose.SUBJECT, context, 8)


class Parks(Patient):
    """Defers every answer, as one that waits for news."""

    about = b"news"

    def handle(self, event: Event) -> Deferred:
        deferred = Deferred(parked=True, heartbeat=Heartbeat(b"alive", 15 * SECOND, self.about))
        self.waiting.append((event, deferred))
        return deferred


def test_whoever_waits_for_news_is_informed_once_and_at_once() -> None:
    desk, late = Desk(Tape()), Desk(service := Parks())
    desk.connect()
    late.peer, late.now = desk.peer, desk.now
    (notice,) = late.send(desk.peer.speak(9, 11))
    head = desk.peer.refusal(notice)
    assert (head.code, head.heartbeat) == (Refusal.WORKING, Heartbeat(b"alive", 15 * SECOND, subject(b"news")))
    assert late.listener.next_timeout() == late.now + RENEWED_FOR
    service.waiting[0][1].resolve(Reply())
    assert late.listener.next_timeout() is None


def test_a_late_reply_brings_fresh_continuations() -> None:
    desk, late = Desk(Tape()), Desk(service := Parks())
    desk.connect()
    late.peer, late.now = desk.peer, desk.now
    late.send(desk.peer.speak(9, 11))
    number, known = desk.peer.number, service.waiting[0][0].continuation
    old = desk.peer.blob
    for _ in range(20):
        late.now += RENEWED_FOR // 2
        assert len(late.send(late.peer.ask_at_work([number]))) == 1
    service.waiting[0][1].resolve(Reply())
    (burst,) = late.listener.poll(late.now)
    (packet,) = desk.peer.read(burst.datagrams())
    assert packet.transport is not None
    assert desk.peer.blob != old
    assert packet.user is not None
    (notice,) = late.send(late.peer.restart(late.peer_bound()))
    assert desk.peer.refusal(notice).code is Refusal.WORKING, "it has not expired"
    assert service.waiting[1][0].continuation == known


def test_news_that_are_there_already_need_no_notice() -> None:
    class Ready(Parks):
        def handle(self, event: Event) -> Deferred:
            deferred = super().handle(event)
            deferred.resolve(Reply(refusal=Refusal.BUSY))
            return deferred

    desk, late = Desk(Tape()), Desk(Ready())
    desk.connect()
    late.peer, late.now = desk.peer, desk.now
    assert late.send(desk.peer.speak(9, 11)) == []
    (burst,) = late.listener.poll(late.now)
    assert desk.peer.refusal(burst.datagrams()[0]).code is Refusal.BUSY
