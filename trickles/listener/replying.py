"""Replies: call the service, seal its reply, attach the continuations that the client needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from weakref import WeakMethod

from trickles.errors import ContinuationTooLarge, Forged, InputBusy, InputLost, UnknownEpoch
from trickles.keyring import Purpose, expand
from trickles.limits import MILLISECOND
from trickles.listener.context import ListenerContext
from trickles.listener.decisions import Decision
from trickles.listener.paths import Path, PathCache
from trickles.listener.responder import Grant, budget_bytes, packets
from trickles.listener.waiting import Waiting
from trickles.promise import Promise
from trickles.service import Deferred, Event, Heartbeat, Refusal, Reply, Service, Spooled
from trickles.shares import NoRoom, Shares
from trickles.wire.awaiting import Awaited, Question
from trickles.wire.hello import HelloInside
from trickles.wire.kinds import Address, Burst, RequestFlag, ResponseFlag, address_bytes
from trickles.wire.refusal import SUBJECT_BYTES, heartbeat_frame, refusal_header
from trickles.wire.request import RequestBody
from trickles.wire.response import SALT_BYTES, TAG_BYTES, user_frame

_NONCE_BYTES = 12
_new = tuple.__new__
_INPUT_END, _INPUT_LOST = RequestFlag.INPUT_END, RequestFlag.INPUT_LOST
_UNUSUAL = RequestFlag.COMMIT | _INPUT_LOST
_TRANSPORT, _USER, _REPEATED = ResponseFlag.TRANSPORT, ResponseFlag.USER, ResponseFlag.REPEATED
_SMALL = ResponseFlag.SMALL
FIRST_NOTICE = 4 * MILLISECOND  # below every client's probe floor
LAST_NOTICE = 250 * MILLISECOND  # each when the work has lasted eight times as long; from then on clients ask
FETCHES = 8  # for one request, of input in a spool: its places, its beginning, and once more after each loss
MOST_NUMBER = (1 << 32) - 1  # of a request
_UNPROVED = ""  # the host of all unvalidated addresses: they have one share together, for they may be forged


class Replier:
    """Calls the service and cuts its replies into packets; waiting replies are bounded."""

    def __init__(
        self, paths: PathCache, service: Service, context: ListenerContext, deliver: Callable[[list[Burst]], None]
    ) -> None:
        """Hold `deliver`, a method of the listener, weakly: so both are freed without a garbage collection."""
        limits = context.limits
        self._paths = paths
        self._service = service
        self._entropy = context.entropy
        self._life, self._skew = limits.user_continuation_life, limits.clock_skew
        self._least = limits.min_datagram_bytes
        self._most_user_bytes = limits.max_user_continuation_bytes
        self._old = limits.continuation_life // 4  # age at which a continuation is renewed within its episode
        self._counters = context.counters
        self._deliver = WeakMethod(deliver)
        self.on_error: Callable[[Exception], None] | None = None
        self.on_consumed: Callable[[Path, int], None] = lambda _path, _below: None  # of input from the spool
        self._waiting = Waiting()
        self._shares: Shares[Deferred] = Shares(limits.max_waiting)
        self._greeted: dict[bytes, Deferred] = {}  # those of hellos, by connection
        self._left: Callable[[bytes], object] = getattr(service, "left", lambda _: None)
        self._incarnation = 0
        self._now = 0  # the last time of the clock

    def clear(self) -> None:
        self._waiting.clear()
        self._shares.clear()
        self._greeted.clear()
        self._incarnation = 0

    @property
    def incarnation(self) -> int:
        """A random number, by which clients notice that this process, and its work, is another one."""
        if not self._incarnation:
            self._incarnation = int.from_bytes(self._entropy(SALT_BYTES), "big")
        return self._incarnation

    def answer(
        self,
        path: Path,
        source: Address,
        number: int,
        body: RequestBody,
        decision: Decision,
        now: int,
        given: bytes | None = None,
        spooled: Spooled | None = None,
    ) -> list[Burst]:
        """Return the datagrams for an accepted request, or none yet when the service defers.

        `given` is its input if that came through the spool.
        """
        start, stop, episode, fresh, size, claims, _, _ = decision
        flags, named, _, _, _, _, wants, user, offset, inline = body
        self._now = now
        state, session, known = path.state, path.session, None
        more = lost = False
        if user:
            try:
                known = path.seals.open_user_untrusted(self._paths.keyring, user, now, self._life, self._skew)
            except UnknownEpoch:  # another replica may hold it: a rotation is under way, or a clock is late
                decision.give_back()
                return self.refuse(path, source, number, Refusal.EPOCH)
            except Forged:
                self._counters.hit("refused.user_continuation")
                return [self._refused(path, source, number, Refusal.GONE)]
            more = known.more
        nonce, frame, sent = self._entropy(_NONCE_BYTES), b"", _REPEATED if claims is None else 0
        aged = now - state.issued > self._old
        if fresh or aged:
            frame, path = self._paths.renew(path, episode, False, state.address, size, nonce, now)
            sent |= _TRANSPORT
            if size < named:
                self._counters.hit("refused.size")
                sent |= _SMALL
        again = known if aged and not inline else None  # a long transfer outlives its epoch
        grant = Grant(path, source, number, start, stop, size, sent, frame, nonce, now, decision, again, more)
        if flags & _UNUSUAL:
            lost = flags & _INPUT_LOST != 0
            grant.spooled, grant.input_lost = spooled is not None, lost
        ends, budget = flags & _INPUT_END != 0, budget_bytes(session, size, stop - start, frame)
        connection, foreign, data = session.identity, path.other_store, inline if given is None else given
        fields = connection, source[0], False, offset, data, ends, known, wants, budget, spooled, foreign, lost
        return self.ask(_new(Event, fields), grant)  # faster than the class: this runs for every request

    def greet(self, path: Path, source: Address, inside: HelloInside, now: int) -> list[Burst]:
        """Return the first packets of a connection with an unvalidated address: early input may be a replay."""
        state, nonce = path.state, self._entropy(_NONCE_BYTES)
        size, stop = state.datagram_bytes, state.episode.start
        frame, _ = self._paths.renew(path, state.episode, True, state.address, size, nonce, now)
        nothing_taken = Decision(0, stop, state.episode, True, size, None)
        grant = Grant(path, source, 0, 0, stop, size, _TRANSPORT, frame, nonce, now, nothing_taken)
        wants = ((0, inside.wanted),) if inside.wanted else ()
        ends, budget = inside.input_end, budget_bytes(path.session, size, stop, frame)
        if path.session.identity in self._greeted:  # a repeated hello, which is being worked on
            self._waiting.renew(path.session.identity, now)
            return [self._working(grant, now)]
        event = Event(path.session.identity, source[0], True, 0, inside.input, ends, None, wants, budget)
        return self.ask(event, grant)

    def ask(self, event: Event, grant: Grant) -> list[Burst]:
        try:
            reply = self._service.handle(event)
        except Exception as error:  # noqa: BLE001 - whatever a service does, other clients must not notice
            reply = self._unhandled(event, error, FETCHES)
        if isinstance(reply, Reply):
            return self.reply(grant, reply)
        return self._wait(reply, event, grant)

    def _unhandled(self, event: Event, error: Exception, fetches: int) -> Reply | Deferred:
        if isinstance(error, InputLost):
            return Reply(refusal=Refusal.INPUT_LOST)
        if isinstance(error, InputBusy):
            later = error.ready if fetches else None
            return Reply(refusal=Refusal.BUSY) if later is None else self._later(event, later, fetches - 1)
        self._failed(error)
        return Reply(refusal=Refusal.GONE)

    def _later(self, event: Event, ready: Promise[None], fetches: int) -> Deferred:
        """Return the reply to an event that the service handles again when its input was fetched."""
        deferred = Deferred()

        def fetched(_: None) -> None:
            try:
                reply = self._service.handle(event)
            except Exception as error:  # noqa: BLE001 - as above
                reply = self._unhandled(event, error, fetches)
            if isinstance(reply, Reply):
                deferred.resolve(reply)
            else:
                reply.then(deferred.resolve)

        ready.then(fetched)
        return deferred

    def _failed(self, error: Exception) -> None:
        self._counters.hit("service.errors")
        if self.on_error is not None:
            self.on_error(error)

    def _wait(self, deferred: Deferred, event: Event, grant: Grant) -> list[Burst]:
        host = _UNPROVED if event.early else event.peer
        try:
            other = self._shares.in_the_way(host)
        except NoRoom:
            return self.reply(grant, _ask_again(early=event.early))
        turned_out = [] if other is None else self._turned_out(other)
        if event.early:  # bytes to an unvalidated address are bounded: one notice replaces a packet
            grant = replace(grant, stop=grant.stop - 1)
            self._greeted[event.connection] = deferred
        at_once = deferred.parked and not event.early
        self._waiting.add(deferred, grant, None if at_once else grant.now + FIRST_NOTICE)
        self._shares.add(host, deferred)

        def resolved(value: Reply) -> None:
            if self._remove(deferred) is not None:
                if grant.request and self._now - grant.now > self._old:
                    self._renew(grant, event)
                bursts = self.reply(grant, value)
                if (deliver := self._deliver()) is not None:
                    deliver(bursts)

        deferred.then(resolved)
        if at_once and deferred in self._waiting:
            return [*turned_out, self._working(grant, grant.now, deferred.heartbeat)]
        return turned_out

    def _turned_out(self, deferred: Deferred) -> list[Burst]:
        """Refuse a waiting request, to make room."""
        grant = self._remove(deferred)
        return [] if grant is None else self.reply(grant, _ask_again(early=not grant.request))

    def _remove(self, deferred: Deferred) -> Grant | None:
        """Remove a request that waits; return its grant."""
        grant = self._waiting.remove(deferred)
        if grant is not None:
            self._shares.remove(deferred)
            connection = grant.path.session.identity
            if self._greeted.get(connection) is deferred:
                del self._greeted[connection]
        return grant

    def awaited(self, path: Path, source: Address, number: int, question: Question, now: int) -> list[Burst]:
        """Renew the requests of a client that waits, and those it names; answer which of them are at work here.

        A question that is older than another one, or than a request that waits, is not answered.
        """
        identity = path.session.identity
        if number <= self._waiting.newest(identity):
            self._counters.hit("dropped.await")
            return []
        self._counters.hit("awaits")
        self._now = now
        mask = self._waiting.asked(identity, number, question, source[0], now)
        clear = Awaited(number, self.incarnation, mask).clear(self._entropy(SALT_BYTES))
        return [Burst(source, len(clear) + TAG_BYTES, [clear, path.session.tag(clear)])]

    def left(self, connection: bytes, number: int) -> None:
        """Drop the waiting requests of a client that left, and let the service end their work.

        A goodbye covers requests and questions of lower numbers only: one that comes late, or again, has no effect.
        """
        if self._waiting.newest(connection) > number:
            self._counters.hit("dropped.goodbye")
            return
        for deferred in self._waiting.of(connection):
            grant = self._remove(deferred)
            if grant is not None:
                grant.decision.give_back()
        try:
            self._left(connection)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)

    def set_back(self, step: int) -> None:
        self._now -= step
        self._waiting.set_back(step)

    @property
    def next_notice(self) -> int | None:
        return self._waiting.next_due

    def notices(self, now: int) -> list[Burst]:
        """Return notices to clients whose requests are being worked on for a while: they need not ask elsewhere.

        Clients that did not renew their requests for long have left.
        """
        bursts = []
        for deferred, grant in self._waiting.pop_due(now):
            lasted = now - grant.now
            if lasted < LAST_NOTICE and grant.request and not deferred.parked:
                self._waiting.remind(deferred, grant, now + max(7 * lasted, FIRST_NOTICE))
            bursts.append(self._working(grant, now))
        while (connection := self._waiting.unrenewed(now)) is not None:
            self._counters.hit("unrenewed")
            self.left(connection, MOST_NUMBER)
        return bursts

    def reply(self, grant: Grant, reply: Reply) -> list[Burst]:
        chunks, continuation, end, refusal = reply
        if grant.input_lost and continuation is None and end is None:
            refusal = refusal or Refusal.GONE  # the service has no answer to lost input
        if refusal is not None:
            self._counters.hit(f"refused.{refusal.name.lower()}")
            grant.decision.give_back()
            return [self._refused(grant.path, grant.destination, grant.request, refusal)]
        flags, frames = grant.flags, grant.frames
        if (shown := continuation or grant.known) is not None:
            try:
                ring, most = self._paths.keyring, self._most_user_bytes
                blob = grant.path.seals.user(ring, shown, grant.nonce, grant.now, most)
            except ContinuationTooLarge:
                self._counters.hit("refused.continuation_too_large")
                return [self._refused(grant.path, grant.destination, grant.request, Refusal.GONE)]
            _, start, stop, consumed, more = shown
            if more:
                grant.more = True
            frames += user_frame(start, stop, consumed, blob, more)
            flags |= _USER
            if grant.spooled and continuation is not None:
                self.on_consumed(grant.path, consumed)
        self._counters["answered"] += 1
        return packets(grant, chunks, flags, frames, end)

    def _renew(self, grant: Grant, event: Event) -> None:
        """Attach continuations as fresh as a late reply, under a nonce of their own: the client's may have expired."""
        state, grant.nonce, grant.now = grant.path.state, self._entropy(_NONCE_BYTES), self._now
        episode, size = grant.decision.episode, grant.datagram_bytes
        grant.frames, grant.path = self._paths.renew(
            grant.path, episode, False, state.address, size, grant.nonce, grant.now
        )
        grant.flags |= _TRANSPORT
        grant.known = event.continuation if not event.input else None

    def challenge(self, path: Path, source: Address, number: int, why: Refusal, now: int) -> list[Burst]:
        """Refuse an aged or moved continuation; a fresh one, bound to `source`, will prove the path."""
        self._counters.hit(f"refused.{why.name.lower()}")
        state, address, nonce = path.state, address_bytes(source[0]), self._entropy(_NONCE_BYTES)
        size = state.datagram_bytes if address == state.address else self._least  # sizes for a new address are unknown
        frame, _ = self._paths.renew(path, state.episode, True, address, size, nonce, now)
        return [self._refused(path, source, number, why, frame)]

    def refuse(self, path: Path, source: Address, number: int, why: Refusal) -> list[Burst]:
        self._counters.hit(f"refused.{why.name.lower()}")
        return [self._refused(path, source, number, why)]

    def begun(self, path: Path, source: Address, number: int) -> Burst:
        """Return a first notice: the client need not ask elsewhere now."""
        return self._refused(path, source, number, Refusal.WORKING, work=(0, self.incarnation))

    def _working(self, grant: Grant, now: int, heartbeat: Heartbeat | None = None) -> Burst:
        """Return a notice; one about a hello brings the continuation with which the client can ask, or leave."""
        frame = grant.frames if not grant.request else b""
        if grant.request and heartbeat is not None:
            key, address = self._paths.keyring.newest(now).key, grant.path.state.address
            frame = heartbeat_frame(replace(heartbeat, subject=_subject(key, address, heartbeat.subject)))
        work = max(now - grant.now, 0), self.incarnation
        return self._refused(grant.path, grant.destination, grant.request, Refusal.WORKING, frame, work)

    def _refused(
        self,
        path: Path,
        source: Address,
        number: int,
        why: Refusal,
        frame: bytes = b"",
        work: tuple[int, int] = (0, 0),
    ) -> Burst:
        clear = refusal_header(why, number, self._entropy(SALT_BYTES), *work) + frame
        tag = path.session.tag(clear)
        return Burst(source, len(clear) + len(tag), [clear, tag])


@lru_cache(maxsize=4096)
def _subject(key: bytes, address: bytes, subject: bytes) -> bytes:
    """Return the name of a subject towards the clients of one host: it reveals nothing else about it."""
    return expand(key, Purpose.SUBJECT, address + sha256(subject).digest(), SUBJECT_BYTES)


def _ask_again(*, early: bool) -> Reply:
    """Return the reply to a request without a place: to an early one a connection that validates the address."""
    return Reply() if early else Reply(refusal=Refusal.BUSY)
