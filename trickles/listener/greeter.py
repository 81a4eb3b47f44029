"""The listener's side of the handshake: certificates, cookies, hellos."""

from __future__ import annotations

from trickles.continuation import Seals
from trickles.errors import UnknownEpoch
from trickles.handshake import EpochKeys, make_cookie, valid_cookie
from trickles.keyring import Purpose
from trickles.limits import SECOND
from trickles.listener.context import ListenerContext
from trickles.listener.paths import Path, PathCache
from trickles.listener.replying import Replier
from trickles.nonce import NonceSequence
from trickles.session import SessionKeys
from trickles.trickle import UNBOUNDED_SSTHRESH, Episode
from trickles.wire.hello import ASK_BYTES, HelloInside, parse_hello_untrusted
from trickles.wire.kinds import Address, Burst, Kind, Suite, address_bytes
from trickles.wire.transport import NONCE_SECRET_BYTES, TransportState

_CERTIFICATE = bytes((Kind.CERTIFICATE,))
_COOKIE = bytes((Kind.COOKIE,))


class Greeter:
    """Answers hellos with at most three times their size; above a rate it asks for a cookie first."""

    def __init__(self, paths: PathCache, replier: Replier, context: ListenerContext) -> None:
        self._paths = paths
        self._replier = replier
        self._limits = context.limits
        self._counters = context.counters
        self.forget()

    def forget(self) -> None:
        """Forget the soft state: epoch keys and the rate of hellos."""
        self._keys: dict[int, EpochKeys] = {}
        self._second = 0
        self._hellos = 0

    def ask(self, datagram: bytes, source: Address, now: int) -> list[Burst]:
        """Return the certificate of the epoch in force, to a datagram larger than it."""
        certificate = self._paths.keyring.newest(now).certificate
        if len(datagram) < ASK_BYTES or not certificate:
            self._counters.hit("dropped.ask")
            return []
        self._counters.hit("certificates")
        return [_single(source, _CERTIFICATE + certificate)]

    def hello(self, datagram: bytes, source: Address, now: int) -> list[Burst]:
        """Answer a hello with at most three packets of its size, each with the first continuation."""
        hello = parse_hello_untrusted(datagram, self._limits.min_datagram_bytes)
        address, ring = address_bytes(source[0]), self._paths.keyring
        if self._crowded(now) and not valid_cookie(ring, hello.cookie, address, now=now, life=self._limits.cookie_life):
            self._counters.hit("cookies")
            return [_single(source, _COOKIE + make_cookie(ring, address, now=now))]
        try:
            keys = self._epoch(hello.epoch)
        except UnknownEpoch:
            return self.ask(datagram, source, now)
        inside = keys.open_hello_untrusted(hello)
        self._counters.hit("hellos")
        return self._greet(keys, inside, hello.suite, source, len(datagram), now)

    def _greet(
        self, keys: EpochKeys, inside: HelloInside, suite: Suite, source: Address, size: int, now: int
    ) -> list[Burst]:
        session = SessionKeys(inside.secret, suite)
        episode = Episode(0, self._limits.unproved_window, UNBOUNDED_SSTHRESH)
        secret = keys.epoch.derive(Purpose.NONCE, session.identity, NONCE_SECRET_BYTES)
        nonce_key = secret + self._paths.store_tag
        size = min(size, self._limits.min_datagram_bytes)
        state = TransportState(suite, True, now, address_bytes(source[0]), size, episode, inside.secret, nonce_key)
        seals = Seals(session.connection, session.identity)
        path = Path(state, session, NonceSequence(nonce_key), seals)
        return self._replier.greet(path, source, inside, now)

    def _epoch(self, identifier: int) -> EpochKeys:
        keys = self._keys.get(identifier)
        if keys is None:
            keys = self._keys[identifier] = EpochKeys(self._paths.keyring.find(identifier))
        return keys

    def _crowded(self, now: int) -> bool:
        second = now // SECOND
        if second != self._second:
            self._second, self._hellos = second, 0
        self._hellos += 1
        return self._hellos > self._limits.max_hellos_per_second


def _single(source: Address, datagram: bytes) -> Burst:
    return Burst(source, len(datagram), [datagram])
