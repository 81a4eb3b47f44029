"""The server engine: a function of keyring, service, datagram and now. There is no connection object.

All state besides the keyring is soft: opened continuations, replay filter, claims. It is bounded and may vanish at any
instant (`drop_caches`) with no effect except on speed.
"""

from __future__ import annotations

from collections.abc import Callable

from trickles.errors import BadPacket, Forged, InputBusy, InputLost, UnknownEpoch
from trickles.keyring import Keyring
from trickles.limits import DEFAULT_LIMITS, Limits
from trickles.listener.claims import ClaimTable
from trickles.listener.context import ListenerContext
from trickles.listener.decisions import Decision, Refused
from trickles.listener.grants import decide
from trickles.listener.greeter import Greeter
from trickles.listener.paths import Path, PathCache
from trickles.listener.replying import FETCHES, Replier
from trickles.listener.sizes import size_proof
from trickles.listener.spooling import Spooler
from trickles.promise import Promise
from trickles.replay import ReplayFilter
from trickles.service import Buffer, Refusal, Service
from trickles.spool import Kept, Spool, SpoolFull
from trickles.stores import NO_STORE
from trickles.wire.awaiting import LEAVES, parse_await_untrusted
from trickles.wire.kinds import Address, Burst, Kind, RequestFlag, address_bytes
from trickles.wire.refusal import refusal_header
from trickles.wire.request import RequestBody, parse_body_untrusted, split_untrusted
from trickles.wire.response import HEADER, HEADER_BYTES, SALT_BYTES, TAG_BYTES

Entropy = Callable[[int], bytes]
_REQUEST, _AWAIT, _COMMIT = int(Kind.REQUEST), int(Kind.AWAIT), RequestFlag.COMMIT


class Listener:
    """Answers datagrams; two listeners with equal keyrings and services answer alike.

    `store_id` names the store that the service shares with other replicas; events show whether a connection began with
    another one. `handle` never raises for the content of a datagram. `poll` and `resolved` return deferred replies;
    `on_ready`, when set, is called as soon as there are some.
    """

    def __init__(
        self,
        keyring: Keyring,
        service: Service,
        *,
        entropy: Entropy,
        limits: Limits = DEFAULT_LIMITS,
        spool: Spool | None = None,
        store_id: bytes = NO_STORE,
    ) -> None:
        context = ListenerContext(entropy, limits)
        self.counters = context.counters
        self.on_ready: Callable[[], None] | None = None
        self._limits = limits
        self._life, self._skew = limits.continuation_life, limits.clock_skew
        self._entropy = entropy
        self._ready: list[Burst] = []
        self._paths = PathCache(keyring, limits, store_id)
        self._spooler = Spooler(spool, context)
        self._replier = Replier(self._paths, service, context, self._deliver)
        self._replier.on_consumed = self._spooler.consumed
        self._greeter = Greeter(self._paths, self._replier, context)
        self._latest = 0  # the last time of the clock
        self._fetching = 0
        self._forget()

    def _forget(self) -> None:
        limits = self._limits
        remembered = limits.continuation_life + limits.clock_skew  # the life of a continuation, by any clock
        self._replays = ReplayFilter(bits=limits.replay_bits, period=remembered)
        self._claims = ClaimTable(limits.claims_cache)

    @property
    def keyring(self) -> Keyring:
        return self._paths.keyring

    def replace_store(self, store_id: bytes) -> None:
        """Share another store from now on: events show which connections began with the old one."""
        self._paths.replace_store(store_id)

    def report_errors(self, callback: Callable[[Exception], None]) -> None:
        """Call `callback` with exceptions of the service; the client is refused either way."""
        self._replier.on_error = callback

    def replace_keyring(self, keyring: Keyring) -> None:
        """Use a rotated keyring; connections sealed under epochs that it still holds are not affected."""
        self._paths.replace_keyring(keyring)
        self._greeter.forget()

    def drop_caches(self) -> None:
        """Lose all soft state, as a new process would."""
        self._forget()
        self._paths.clear()
        self._replier.clear()
        self._greeter.forget()
        self._spooler.clear()

    def poll(self, now: int) -> list[Burst]:
        """Return deferred replies that were resolved, and notices that others are being worked on."""
        if now < self._latest:
            self._set_back(now)
        self._latest = now
        return self.resolved() + self._replier.notices(now)

    def resolved(self) -> list[Burst]:
        """Return only the deferred replies that were resolved."""
        ready, self._ready = self._ready, []
        return ready

    def next_timeout(self) -> int | None:
        """Return when `poll` is due although nothing was resolved, or None."""
        return self._replier.next_notice

    def handle(self, datagram: bytes, source: Address, *, now: int) -> list[Burst]:
        """Return the datagrams that answer one from `source`; `now` is microseconds since 1970."""
        if now < self._latest:
            self._set_back(now)
        self._latest = now
        try:
            kind = datagram[0] if datagram else 0
            if kind == _REQUEST:
                return self._request(datagram, source, now)
            if kind == Kind.HELLO:
                return self._greeter.hello(datagram, source, now)
            if kind == Kind.PIECE:
                return self._piece(datagram, source, now)
            if kind == _AWAIT:
                return self._await(datagram, source, now)
            if kind == Kind.PING:
                return self._ping(datagram, source, now)
            if kind == Kind.ASK:
                return self._greeter.ask(datagram, source, now)
            raise BadPacket("unknown kind")
        except Forged:
            self.counters.hit("dropped.forged")
        except BadPacket:
            self.counters.hit("dropped.malformed")
        return []

    def _set_back(self, now: int) -> None:
        """Adjust to a clock that was set back: soft state is as old as before, and nothing is delayed by the step."""
        step, self._latest = self._latest - now, now
        self.counters.hit("clock.set_back")
        self._claims.set_back(step, now + self._skew)
        self._replays.set_back(step)
        self._replier.set_back(step)

    def _deliver(self, bursts: list[Burst]) -> None:
        self._ready += bursts
        if self.on_ready is not None:
            self.on_ready()

    def _request(self, datagram: bytes, source: Address, now: int) -> list[Burst]:
        header, blob, number = split_untrusted(datagram)
        try:
            path = self._paths.open_untrusted(blob)
        except UnknownEpoch:
            self.counters.hit("refused.epoch")
            return [_hint(source, number, self._entropy(SALT_BYTES))]
        body = parse_body_untrusted(path.session.open_request_untrusted(header, datagram))
        if self._replays.seen(datagram[-16:], now=now):
            self.counters.hit("dropped.replayed")
            return []
        state = path.state
        if state.address != address_bytes(source[0]) or not -self._skew <= now - state.issued <= self._life:
            return self._challenge(path, source, number, now)
        return self._decide(path, source, number, body, now)

    def _decide(
        self, path: Path, source: Address, number: int, body: RequestBody, now: int, tries: int = FETCHES
    ) -> list[Burst]:
        decision = decide(self._paths.keyring, path, body, self._claims, now=now, limits=self._limits)
        if isinstance(decision, Refused):
            self.counters.hit(decision.counter)
            return []
        if body.flags & _COMMIT:
            return self._commit(path, source, number, body, decision, now, tries)
        return self._replier.answer(path, source, number, body, decision, now)

    def _commit(
        self, path: Path, source: Address, number: int, body: RequestBody, decision: Decision, now: int, tries: int
    ) -> list[Burst]:
        """Answer an accepted request whose input lies in the spool."""
        try:
            given, spooled = self._spooler.input(path, body)
        except InputLost:
            decision.give_back()
            return self._replier.refuse(path, source, number, Refusal.INPUT_LOST)
        except InputBusy as busy:
            decision.give_back()
            return self._fetch(path, source, number, body, busy.ready, tries)
        return self._replier.answer(path, source, number, body, decision, now, given, spooled)

    def _fetch(
        self, path: Path, source: Address, number: int, body: RequestBody, ready: Promise[None] | None, tries: int
    ) -> list[Burst]:
        """Decide about a request again when its input was fetched; a notice lets its client wait meanwhile."""
        if ready is None or not tries or self._fetching >= self._limits.max_fetching:
            return self._replier.refuse(path, source, number, Refusal.BUSY)

        def fetched(_: None) -> None:
            self._fetching -= 1
            self._deliver(self._decide(path, source, number, body, self._latest, tries - 1))

        self._fetching += 1
        ready.then(fetched)
        return [self._replier.begun(path, source, number)]

    def _piece(self, datagram: bytes, source: Address, now: int) -> list[Burst]:
        header, blob, number = split_untrusted(datagram)
        path = self._paths.open_untrusted(blob)
        body = path.session.open_request_untrusted(header, memoryview(datagram))  # it may be large
        if self._stale(path, source, now):
            return self._challenge(path, source, number, now)
        if self._spooler.spool is None:
            return self._replier.refuse(path, source, number, Refusal.NO_SPOOL)
        start, stop, kept = self._spooler.write(path, body)
        if isinstance(kept, Promise):
            kept.then(lambda later: self._deliver(self._stored(path, source, number, start, stop, later)))
            return []
        return self._stored(path, source, number, start, stop, kept)

    def _stored(self, path: Path, source: Address, number: int, start: int, stop: int, kept: Kept) -> list[Burst]:
        """Return the answer to a piece; none while it is not known to be kept."""
        if isinstance(kept, SpoolFull):
            self.counters.hit("refused.spool_full")
            return self._replier.refuse(path, source, number, Refusal.FULL)
        if not kept:
            self.counters.hit("dropped.piece")
            return []
        return [self._spooler.receipt(path, source, number, start, stop, kept)]

    def _ping(self, datagram: bytes, source: Address, now: int) -> list[Burst]:
        header, blob, number = split_untrusted(datagram)
        path = self._paths.open_untrusted(blob)
        path.session.open_request_untrusted(header, datagram)
        if self._stale(path, source, now) or self._replays.seen(datagram[-16:], now=now):
            self.counters.hit("dropped.ping")
            return []
        self.counters.hit("pings")
        ring, limits, size = self._paths.keyring, self._limits, len(datagram)
        proof = size_proof(ring, path.state.address, size, now=now, limits=limits)
        return [_pong(path, source, number, self._entropy(SALT_BYTES), size, proof)]

    def _await(self, datagram: bytes, source: Address, now: int) -> list[Burst]:
        """Answer whether requests are at work, or take a goodbye; the continuation may have expired meanwhile."""
        header, blob, number = split_untrusted(datagram)
        path = self._paths.open_untrusted(blob)
        question = parse_await_untrusted(path.session.open_request_untrusted(header, datagram))
        if path.state.address != address_bytes(source[0]) or self._replays.seen(datagram[-16:], now=now):
            self.counters.hit("dropped.await")
            return []
        if question.flags & LEAVES:
            self.counters.hit("goodbyes")
            self._replier.left(path.session.identity, number)
            return []
        return self._replier.awaited(path, source, number, question, now)

    def _stale(self, path: Path, source: Address, now: int) -> bool:
        timely = -self._skew <= now - path.state.issued <= self._life
        return not timely or path.state.address != address_bytes(source[0])

    def _challenge(self, path: Path, source: Address, number: int, now: int) -> list[Burst]:
        moved = path.state.address != address_bytes(source[0])
        return self._replier.challenge(path, source, number, Refusal.ADDRESS if moved else Refusal.EXPIRED, now)


def _hint(source: Address, number: int, salt: bytes) -> Burst:
    clear = refusal_header(Refusal.EPOCH, number, salt)
    return Burst(source, len(clear), [clear])


def _pong(path: Path, source: Address, number: int, salt: bytes, size: int, proof: int) -> Burst:
    """Return a pong as large as the ping: datagrams of this size pass both ways (RFC 8899)."""
    clear = HEADER.pack(Kind.PONG, 0, number & 0xFFFF, salt, number, proof, 0)
    fill: Buffer = bytes(size - HEADER_BYTES - TAG_BYTES)
    return Burst(source, size, path.session.seal_response(clear, fill, tagged=True))
