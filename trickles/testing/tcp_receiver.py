"""The receiving end of a simulated TCP flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from trickles.testing.clock import MILLISECOND, Timer
from trickles.testing.curve import DeliveryCurve
from trickles.testing.network import Node
from trickles.testing.packet import Address, Hop, Packet
from trickles.testing.world import World

HEADER_BYTES = 52  # IPv4 20, TCP 20, timestamp option 12


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of data, with the time it was sent (the timestamp option)."""

    number: int
    sent_at: int


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledgement of all below `upto` and of runs [start, stop) above; `echo` is the echoed timestamp.

    The runs are complete, while SACK (RFC 2018) has room for three.
    """

    upto: int
    runs: tuple[tuple[int, int], ...]
    echo: int


DELAYED_ACK = 40 * MILLISECOND  # the least delay Linux uses; RFC 5681, 4.2 allows up to 500 ms


class TcpReceiver(Node):
    """Acknowledges every second segment or after 40 ms, and at once while there are holes (RFC 5681, 4.2)."""

    def __init__(
        self, world: World, name: str, address: Address, peer: Address, outgoing: Sequence[Hop], mss_bytes: int
    ) -> None:
        super().__init__(name, outgoing)
        self.curve = DeliveryCurve()
        self._world = world
        self._address, self._peer = address, peer
        self._mss_bytes = mss_bytes
        self._next = 0
        self._beyond: set[int] = set()  # arrived past a hole
        self._echo: int | None = None  # timestamp of the oldest segment not acknowledged yet (RFC 7323, 4.3)
        self._timer = Timer(world.clock, self._acknowledge)
        world.network.attach(address, self)

    def receive(self, packet: Packet) -> None:
        segment = packet.note
        if not isinstance(segment, Segment):
            return
        expected, waiting = segment.number == self._next and not self._beyond, self._echo is not None
        self._echo = self._echo if self._echo is not None else segment.sent_at
        self._accept(segment.number)
        if waiting or not expected:
            self._acknowledge()
        else:
            self._timer.set(self._world.clock.now + DELAYED_ACK)

    def _accept(self, number: int) -> None:
        before = self._next
        if number >= before:
            self._beyond.add(number)
        while self._next in self._beyond:
            self._beyond.remove(self._next)
            self._next += 1
        if self._next > before:
            self.curve.add(self._world.clock.now, (self._next - before) * self._mss_bytes)

    def _acknowledge(self) -> None:
        self._timer.set(None)
        if self._echo is None:
            return
        ack = Ack(self._next, tuple(runs(self._beyond)), self._echo)
        self._echo = None
        size = HEADER_BYTES + (4 + 8 * min(len(ack.runs), 3) if ack.runs else 0)
        self._world.network.launch(self, Packet(b"", size, self._address, self._peer, ack))


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the numbers as ascending runs [start, stop)."""
    start = stop = -1
    for number in sorted(numbers):
        if number != stop:
            if stop >= 0:
                yield start, stop
            start = number
        stop = number + 1
    if stop >= 0:
        yield start, stop
