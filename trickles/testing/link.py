"""One direction of a wire: a drop-tail queue, serialisation, propagation, impairments."""

from __future__ import annotations

from collections import deque

from trickles.testing.clock import Clock
from trickles.testing.impairments import Impairments
from trickles.testing.journal import Journal
from trickles.testing.packet import Packet, forward
from trickles.testing.seeds import Seeds
from trickles.testing.spec import LinkSpec
from trickles.testing.stats import Fate, LinkStats

_TICKS = 1_000_000  # of the wire's own time (picoseconds) in a microsecond, so that rounding does not add up
_BYTE = 8_000_000 * _TICKS  # ticks that a byte takes at one bit per second


class Link:
    """Carries packets one way, by its `spec`; any number of flows may share it.

    A packet takes one event: its departure is known when it enters the queue.
    """

    __slots__ = (
        "_clock",
        "_departures",
        "_free",
        "_identity",
        "_impairments",
        "_journal",
        "name",
        "spec",
        "stats",
    )

    def __init__(self, clock: Clock, journal: Journal, seeds: Seeds, name: str, identity: int, spec: LinkSpec) -> None:
        self.name = name
        self.spec = spec
        self.stats = LinkStats()
        self._clock = clock
        self._journal = journal
        self._identity = identity
        self._departures: deque[int] = deque()  # ticks at which packets in the queue will have left
        self._free = 0  # the tick at which the wire falls idle
        self._impairments = Impairments(spec, seeds, f"link/{name}", self.stats) if spec.impaired else None

    def send(self, packet: Packet) -> None:
        """Take a packet, which goes on to the next hop of its path later, or never."""
        stats = self.stats
        stats.offered += 1
        stats.offered_bytes += packet.wire_bytes
        leaves = self._admit(packet.wire_bytes)
        if isinstance(leaves, Fate):
            self._end(packet, leaves)
        elif self._impairments is None:
            self._fly(packet, leaves)
        else:
            outcome = self._impairments.apply(packet, stats.offered, leaves)
            if isinstance(outcome, Fate):
                self._end(packet, outcome)
                return
            for copy, start in outcome:
                self._fly(copy, start)

    def _admit(self, wire_bytes: int) -> int | Fate:
        """Return the microsecond at which the packet leaves, or why it is dropped."""
        spec = self.spec
        if spec.mtu is not None and wire_bytes > spec.mtu:
            return Fate.MTU
        if spec.rate is None:
            return self._clock.now
        now, departures = self._clock.now * _TICKS, self._departures
        while departures and departures[0] <= now:
            departures.popleft()
        waiting = len(departures)  # with the one on the wire, which does not count as waiting
        if spec.queue_packets is not None and waiting > spec.queue_packets:
            return Fate.QUEUE
        start = max(self._free, now)
        if spec.queue_bytes is not None and (start - now) * spec.rate // _BYTE + wire_bytes > spec.queue_bytes:
            return Fate.QUEUE
        self._free = start + wire_bytes * _BYTE // spec.rate
        departures.append(self._free)
        self.stats.queue_peak = max(self.stats.queue_peak, waiting)
        self.stats.queue_time += (start - now) // _TICKS
        return -(-self._free // _TICKS)

    def _fly(self, packet: Packet, start: int) -> None:
        self.stats.delivered += 1
        self.stats.delivered_bytes += packet.wire_bytes
        self._journal.packet(self._clock.now, self._identity, self.name, packet, None)
        self._clock.at(start + self.spec.delay, forward, packet)

    def _end(self, packet: Packet, fate: Fate) -> None:
        self.stats.dropped[fate] += 1
        self._journal.packet(self._clock.now, self._identity, self.name, packet, fate)
