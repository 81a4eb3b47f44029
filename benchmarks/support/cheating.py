"""Engines of cheating clients for the simulator: the client that everybody uses, and an attack on top of it.

A `Cheat` wraps the honest engine: beside another one it takes a fair share, so what it takes beyond that is owed to the
attack. A peer by hand with the same secret reads along, and thus holds all continuations and nonces; with them the
subclasses say more than the engine would (`extra`), say it otherwise (`outgoing`), or keep something from it
(`incoming`). Datagrams of their own bear request numbers of a space that the engine does not use, so that what answers
them can be told apart; the engine never sees it, unless an attack hands it on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from random import Random

from trickles.client import Client, ClientConfig
from trickles.errors import BadPacket
from trickles.limits import MILLISECOND
from trickles.tools.peer import OpenedPacket, Peer
from trickles.wire.hello import Certificate
from trickles.wire.kinds import Address, Kind
from trickles.wire.request import RequestBody, parse_body_untrusted, split_untrusted

Outgoing = list[tuple[bytes, Address]]
REQUEST = b"GET\n"
NEVER = 1 << 62
_OWN_SPACE, _OWN_MARK = 1 << 31, 0x8000  # request numbers: far above the engine's, and marked in their low half
BEST = 4  # continuations that are shown in turn
INITIAL_WINDOW = 10  # that a continuation without an address may begin with
_ODD = 0x9E37_79B9_7F4A_7C15


def honest(replicas: Sequence[Address], certificate: Certificate, secret: bytes) -> Client:
    """The engine that everybody uses, at the first of these replicas; its first random bytes are the secret."""
    first, rest = deque([secret]), Random(secret)
    config = ClientConfig(probe_sizes=(), certificate=certificate.encode())
    return Client(replicas[:1], entropy=lambda size: first.popleft() if first else rest.randbytes(size), config=config)


class Cheat:
    """The honest engine with somebody who reads along; does nothing by itself."""

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        self.peer = Peer(seed)
        self.seed = seed
        self.replica, self.accomplice = replicas[0], replicas[-1]  # the engine's, and the one for what is said besides
        self.certificate = certificate
        self._said = 0
        self.client = honest(replicas, certificate, self.peer.secret)

    # what attacks change

    def extra(self, now: int) -> Iterator[bytes]:  # noqa: ARG002
        """Datagrams on top of what the engine sends."""
        yield from ()

    def next_extra(self) -> int:
        """When `extra` wants to be asked again, whatever arrives until then."""
        return NEVER

    def outgoing(self, datagram: bytes) -> Iterator[bytes]:
        """What goes out in place of a datagram of the engine."""
        yield datagram

    def incoming(self, packet: OpenedPacket, datagram: bytes, now: int) -> None:
        """A packet for the engine."""
        self.peer.remember(packet)
        self.hand_on(datagram, now)

    def answered(self, packet: OpenedPacket, now: int) -> None:
        """A packet that answers something of `extra`."""

    def foreign(self, datagram: bytes, now: int) -> None:
        """A datagram that is not this connection's."""

    # what they use

    def hand_on(self, datagram: bytes, now: int) -> None:
        """Let the engine have a datagram."""
        self.client.receive_datagram(datagram, self.replica, now=now)

    def number(self) -> None:
        """The peer's next request gets a number of the own space."""
        turn, low = divmod(self._said, _OWN_MARK)
        self._said += 1
        self.peer.number = _OWN_SPACE + (turn << 16) + (_OWN_MARK | low) - 1

    def body_of(self, datagram: bytes) -> RequestBody | None:
        """What a datagram of the engine says, if it is a request."""
        if datagram[0] != Kind.REQUEST:
            return None
        header, _, _ = split_untrusted(datagram)
        return parse_body_untrusted(self.peer.session.open_request_untrusted(header, datagram))

    # what the simulator calls

    def connect(self, *, now: int) -> None:
        self.client.connect(now=now)

    def write(self, data: bytes) -> None:
        self.client.write(data)

    def write_eof(self) -> None:
        self.client.write_eof()

    def receive_datagram(self, datagram: bytes, source: Address, *, now: int) -> None:  # noqa: ARG002
        """Read along, and hand on what the engine asked for."""
        try:
            reply = self.peer.open_untrusted(datagram)
        except BadPacket:
            self.foreign(datagram, now)
            return
        if not isinstance(reply, OpenedPacket):
            self.hand_on(datagram, now)
        elif reply.request & _OWN_MARK:
            self.answered(reply, now)
        else:
            self.incoming(reply, datagram, now)

    def receive_unreachable(self, replica: Address, *, now: int) -> None:
        self.client.receive_unreachable(replica, now=now)

    def handle_timeout(self, *, now: int) -> None:
        """As the engine, if it was the one that asked."""
        due = self.client.next_timeout()
        if due is not None and now >= due:
            self.client.handle_timeout(now=now)

    def datagrams_to_send(self, *, now: int) -> Outgoing:
        """What the engine says, or what is said instead, and what is said besides."""
        besides = [(datagram, self.accomplice) for datagram in self.extra(now)]  # first: it may hand things on
        said = [each for datagram, _ in self.client.datagrams_to_send(now=now) for each in self.outgoing(datagram)]
        return [(datagram, self.replica) for datagram in said] + besides

    def next_timeout(self) -> int | None:
        """The engine's, or when the attack goes on."""
        due = min(self.client.next_timeout() or NEVER, self.next_extra())
        return due if due < NEVER else None

    def next_event(self) -> object | None:
        return self.client.next_event()


class Paced(Cheat):
    """An attack that says something at fixed intervals."""

    interval = 50 * MILLISECOND

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        super().__init__(replicas, certificate, seed)
        self._next = 0

    def extra(self, now: int) -> Iterator[bytes]:
        """As often as the interval says, once the connection stands."""
        if now >= self._next and self.peer.transport is not None and not self.peer.transport.embryo:
            self._next = now + self.interval
            yield from self.strike(now)

    def next_extra(self) -> int:
        return self._next if self.peer.transport is not None and not self.peer.transport.embryo else NEVER

    def strike(self, now: int) -> Iterator[bytes]:  # noqa: ARG002
        """What is said each time."""
        yield from ()


class Second(Paced):
    """Has a second connection for the attack alone, so that what spoils it does not spoil the download."""

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        super().__init__(replicas, certificate, seed)
        self.second = Peer(f"{seed}/second")
        self.replicas = replicas
        self.turn = 0

    def foreign(self, datagram: bytes, now: int) -> None:
        """What the second connection gets."""
        with suppress(BadPacket):
            reply = self.second.receive(datagram)
            if isinstance(reply, OpenedPacket):
                self.answered(reply, now)

    def strike(self, now: int) -> Iterator[bytes]:
        """Hellos first, at each replica in turn; then what the attack says."""
        self.accomplice = self.replicas[self.turn % len(self.replicas)]
        self.turn += 1
        if self.turn <= 2 * len(self.replicas) or self.second.transport is None:
            yield self.second.hello(self.certificate, REQUEST, wanted=3_400)
        else:
            yield from self.attack(now)

    def attack(self, now: int) -> Iterator[bytes]:  # noqa: ARG002
        """What is said each time once the second connection has a continuation."""
        yield from ()
