"""From a decision to datagrams: ask the service, seal what it says, attach the continuations the client needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trickles.continuation import seal_user
from trickles.errors import ContinuationTooLarge, Forged, UnknownEpoch
from trickles.limits import MILLISECOND, SECOND, Limits
from trickles.listener.grants import Decision
from trickles.listener.paths import Path, PathCache
from trickles.listener.responder import NO_CONTROL, Control, Grant, budget_bytes, packets
from trickles.service import Continuation, Deferred, Event, Refusal, Reply, Service, Spooled
from trickles.trace import Counters
from trickles.trickle import Episode
from trickles.wire.hello import HelloInside
from trickles.wire.kinds import Address, Burst, RequestFlag, ResponseFlag, address_bytes
from trickles.wire.refusal import refusal_header
from trickles.wire.request import RequestBody
from trickles.wire.response import CONTROL_COPIES, SALT_BYTES, TransportFrame, UserFrame

_NONCE_BYTES = 12
NEVER = 1 << 62
FIRST_NOTICE = 4 * MILLISECOND  # below every client's probe floor
NEXT_NOTICE = SECOND


class Context(NamedTuple):
    """All that is needed to turn a service's reply into datagrams, now or later."""

    path: Path
    source: Address
    grant: Grant
    transport: TransportFrame | None
    now: int
    release: Callable[[], None]


class Replier:
    """Calls the service and cuts its replies into packets; waiting replies are bounded."""

    MAX_WAITING = 4096

    def __init__(
        self,
        paths: PathCache,
        service: Service,
        entropy: Callable[[int], bytes],
        limits: Limits,
        counters: Counters,
        deliver: Callable[[list[Burst]], None],
    ) -> None:
        self._paths = paths
        self._service = service
        self._entropy = entropy
        self._limits = limits
        self._counters = counters
        self._deliver = deliver
        self.on_error: Callable[[Exception], None] | None = None
        self._waiting: dict[Deferred, tuple[Context, int]] = {}  # and when to say that work goes on

    def clear(self) -> None:
        """Forget the replies that services have deferred."""
        self._waiting.clear()

    def answer(
        self,
        path: Path,
        source: Address,
        number: int,
        body: RequestBody,
        decision: Decision,
        now: int,
        release: Callable[[], None],
        given: bytes,
        spooled: Spooled | None,
    ) -> list[Burst]:
        """The datagrams for an accepted request, or none yet when the service defers."""
        try:
            known = self._paths.user_untrusted(path.connection, body.user, now=now) if body.user else None
        except UnknownEpoch:  # another replica may hold it: a rotation is under way
            release()
            return self.refuse(path, source, number, Refusal.EPOCH)
        except Forged:
            self._counters.hit("refused.user_continuation")
            return [self._refused(path, source, number, Refusal.GONE)]
        transport, path = self._renewed(path, decision, now)
        salt = self._entropy(SALT_BYTES)
        grant = Grant(number, decision.start, decision.stop, path.nonces, decision.datagram_bytes, salt)
        context = Context(path, source, grant, transport, now, release)
        event = Event(
            path.connection,
            source[0],
            False,
            body.input_offset,
            given,
            bool(body.flags & RequestFlag.INPUT_END),
            known,
            body.wants,
            budget_bytes(path.session, grant, _control(transport, None)),
            spooled,
        )
        return self.ask(event, context)

    def greet(self, path: Path, source: Address, inside: HelloInside, now: int) -> list[Burst]:
        """The first packets of a connection, whose address is not proved: early input may be a replay."""
        state = path.state
        stop = state.episode.start
        transport, _ = self._transport(path, state.episode, True, state.address, state.datagram_bytes, now)
        grant = Grant(0, 0, stop, path.nonces, state.datagram_bytes, self._entropy(SALT_BYTES))
        context = Context(path, source, grant, transport, now, _nothing)
        wants = ((0, inside.wanted),) if inside.wanted else ()
        budget = budget_bytes(path.session, grant, _control(transport, None))
        peer = source[0]
        return self.ask(
            Event(path.connection, peer, True, 0, inside.input, inside.input_end, None, wants, budget), context
        )

    def ask(self, event: Event, context: Context) -> list[Burst]:
        """Put one event to the service."""
        try:
            reply = self._service.handle(event)
        except Exception as error:  # noqa: BLE001 - whatever a service does, other clients must not notice
            self._counters.hit("service.errors")
            if self.on_error is not None:
                self.on_error(error)
            reply = Reply(refusal=Refusal.GONE)
        if isinstance(reply, Reply):
            return self.reply(context, reply)
        if len(self._waiting) >= self.MAX_WAITING:
            return self.reply(context, Reply(refusal=Refusal.BUSY))
        deferred = reply
        # what is said to an unproved address is bounded: it gets its three packets and no notices
        self._waiting[deferred] = context, NEVER if event.early else context.now + FIRST_NOTICE

        def resolved(value: Reply) -> None:
            if self._waiting.pop(deferred, None) is not None:
                self._deliver(self.reply(context, value))

        deferred.on_reply(resolved)
        return []

    @property
    def next_notice(self) -> int | None:
        """When the next waiting client should hear that its request is being worked on."""
        due = min((due for _, due in self._waiting.values()), default=NEVER)
        return due if due < NEVER else None

    def notices(self, now: int) -> list[Burst]:
        """A word to every client whose request has been worked on for a while: it need not ask elsewhere."""
        bursts = []
        for deferred, (context, due) in list(self._waiting.items()):
            if due <= now:
                self._waiting[deferred] = context, now + NEXT_NOTICE
                bursts.append(self._refused(context.path, context.source, context.grant.request, Refusal.WORKING))
        return bursts

    def reply(self, context: Context, reply: Reply) -> list[Burst]:
        """The datagrams of a service's reply."""
        path, grant = context.path, context.grant
        if reply.refusal is not None:
            self._counters.hit(f"refused.{reply.refusal.name.lower()}")
            context.release()
            return [self._refused(path, context.source, grant.request, reply.refusal)]
        try:
            user = self._sealed(path, reply.continuation, context.now)
        except ContinuationTooLarge:
            self._counters.hit("refused.continuation_too_large")
            return [self._refused(path, context.source, grant.request, Refusal.GONE)]
        control = _control(context.transport, user)
        self._counters.hit("answered")
        return packets(path.session, context.source, grant, reply.chunks, control, reply.end)

    def challenge(self, path: Path, source: Address, number: int, why: Refusal, now: int) -> list[Burst]:
        """Refuse an aged or foreign-address continuation; the fresh one, bound to `source`, proves the path."""
        self._counters.hit(f"refused.{why.name.lower()}")
        frame, _ = self._transport(
            path, path.state.episode, True, address_bytes(source[0]), path.state.datagram_bytes, now
        )
        return [self._refused(path, source, number, why, frame)]

    def refuse(self, path: Path, source: Address, number: int, why: Refusal) -> list[Burst]:
        """A refusal without a fresh continuation."""
        self._counters.hit(f"refused.{why.name.lower()}")
        return [self._refused(path, source, number, why)]

    def _refused(
        self, path: Path, source: Address, number: int, why: Refusal, frame: TransportFrame | None = None
    ) -> Burst:
        clear = refusal_header(why, number, self._entropy(SALT_BYTES)) + (frame.encode() if frame else b"")
        tag = path.session.tag(clear)
        return Burst(source, len(clear) + len(tag), [clear, tag])

    def _renewed(self, path: Path, decision: Decision, now: int) -> tuple[TransportFrame | None, Path]:
        old = now - path.state.issued > self._limits.continuation_life // 4
        if not (decision.fresh or old):
            return None, path
        return self._transport(path, decision.episode, False, path.state.address, decision.datagram_bytes, now)

    def _transport(
        self, path: Path, episode: Episode, embryo: bool, address: bytes, size: int, now: int
    ) -> tuple[TransportFrame, Path]:
        nonce = self._entropy(_NONCE_BYTES)
        blob, path = self._paths.renew(path, episode, embryo=embryo, address=address, size=size, nonce=nonce, now=now)
        return TransportFrame(episode, embryo, blob), path

    def _sealed(self, path: Path, value: Continuation | None, now: int) -> UserFrame | None:
        if value is None:
            return None
        nonce, ring = self._entropy(_NONCE_BYTES), self._paths.keyring
        blob = seal_user(ring, path.connection, value, nonce=nonce, now=now, limits=self._limits)
        return UserFrame(value.start, value.stop, value.consumed, blob)


def _control(transport: TransportFrame | None, user: UserFrame | None) -> Control:
    if transport is None and user is None:
        return NO_CONTROL
    flags = (ResponseFlag.TRANSPORT if transport else 0) | (ResponseFlag.USER if user else 0)
    frames = (transport.encode() if transport else b"") + (user.encode() if user else b"")
    return Control(int(flags), frames, CONTROL_COPIES)


def _nothing() -> None:
    """A greeting claims nothing: a repeated hello is answered again."""
