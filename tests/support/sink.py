"""A host that only takes note: for measuring what a link does to packets."""

from __future__ import annotations

from collections.abc import Iterable

from trickles.testing.link import Link
from trickles.testing.network import Node
from trickles.testing.packet import Address, Packet
from trickles.testing.simulation import Simulation

SINK: Address = ("203.0.113.250", 9)
SOURCE: Address = ("198.51.100.250", 9)


class Sink(Node):
    """Notes `(time, payload)` of each datagram that comes through `links` to the address SINK."""

    def __init__(self, simulation: Simulation, links: Iterable[Link]) -> None:
        super().__init__("sink", incoming=tuple(links))
        self.arrivals: list[tuple[int, bytes]] = []
        self._simulation = simulation
        self._source = Node("source")
        simulation.world.network.attach(SINK, self)

    def receive(self, packet: Packet) -> None:
        """Notes it."""
        self.arrivals.append((self._simulation.now, packet.data))

    def feed(self, payloads: Iterable[bytes], *, start: int = 0, spacing: int = 0) -> list[tuple[int, bytes]]:
        """Sends payloads from `start` on, `spacing` microseconds apart, runs until all is over; what arrived when."""
        when = start
        for payload in payloads:
            self._simulation.clock.at(when, self._send, payload)
            when += spacing
        self._simulation.run(max_time=1 << 62)
        return self.arrivals

    def _send(self, payload: bytes) -> None:
        self._simulation.world.network.send(self._source, SOURCE, SINK, payload)
