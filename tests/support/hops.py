"""Hops that a test puts on a path of the simulator: they change, hold back or keep what passes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from tests.support.fleetkeys import WALL
from trickles.testing import Clock
from trickles.testing.packet import Packet, forward
from trickles.tools import Captured

# (datagram, sent by the client) -> what the network delivers in its place; where it came from does not change
Tamper = Callable[[bytes, bool], Iterable[bytes]]


def untouched(datagram: bytes, upward: bool) -> Iterable[bytes]:
    """The network of a quiet day."""
    return (datagram,)


@dataclass(frozen=True, slots=True)
class Middlebox:
    """A hop that passes on what `tamper` makes of each datagram."""

    tamper: Tamper
    upward: bool

    def send(self, packet: Packet) -> None:
        """Pass on; ICMP as it is."""
        for data in self.tamper(packet.data, self.upward) if packet.note is None else (packet.data,):
            forward(packet.copy(data))


@dataclass(frozen=True, slots=True)
class Shuffle:
    """A hop at which each datagram waits for a time of its own, so that they overtake each other."""

    clock: Clock
    random: Random
    most_us: int

    def send(self, packet: Packet) -> None:
        """Pass on later."""
        self.clock.at(self.clock.now + self.random.randrange(self.most_us), forward, packet)


@dataclass(frozen=True, slots=True)
class Tap:
    """A hop beside the client that keeps what passes."""

    clock: Clock
    captured: list[Captured] = field(default_factory=list)

    def send(self, packet: Packet) -> None:
        """Note, and pass on."""
        now, data = WALL + self.clock.now, packet.data
        self.captured.append(Captured(now, packet.source, packet.destination, data, len(data)))
        forward(packet)
