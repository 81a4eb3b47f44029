"""Impairments of packets: loss, duplication, corruption, jitter, reordering."""

from __future__ import annotations

from random import Random

from trickles.testing.losses import loss_test
from trickles.testing.packet import Packet
from trickles.testing.seeds import Seeds
from trickles.testing.spec import LinkSpec
from trickles.testing.stats import Fate, LinkStats


class Impairments:
    """Decides the fate of each packet on one link; each impairment has its own random stream."""

    __slots__ = ("_corrupt", "_duplicate", "_jitter", "_latest", "_lost", "_reorder", "_spec", "_stats")

    def __init__(self, spec: LinkSpec, seeds: Seeds, name: str, stats: LinkStats) -> None:
        self._spec = spec
        self._stats = stats
        self._lost = loss_test(spec.loss, seeds.random(f"{name}/loss"))
        self._reorder = seeds.random(f"{name}/reorder")
        self._duplicate = seeds.random(f"{name}/duplicate")
        self._corrupt = seeds.random(f"{name}/corrupt")
        self._jitter = seeds.random(f"{name}/jitter")
        self._latest = 0

    def apply(self, packet: Packet, number: int, leaves: int) -> Fate | list[tuple[Packet, int]]:
        """Return the copies of a packet that arrive, with the times they start to fly, or why none does."""
        mishap = self._mishap(number, leaves)
        if mishap is not None:
            return mishap
        spec, stats = self._spec, self._stats
        arrivals = [(packet, self._start(leaves))]
        if spec.duplicate and self._duplicate.random() < spec.duplicate:
            stats.duplicated += 1
            arrivals.append((packet.copy(), self._start(leaves)))
        if spec.corrupt and self._corrupt.random() < spec.corrupt:
            stats.corrupted += 1
            if packet.note is not None:
                return Fate.CHECKSUM  # ICMP and TCP drop damaged packets
            arrivals[0] = (packet.copy(flip_bits(packet.data, self._corrupt)), arrivals[0][1])
        return arrivals

    def _mishap(self, number: int, leaves: int) -> Fate | None:
        lost = self._lost()  # drawn for every packet, so that outages do not change later losses
        if number in self._spec.drop:
            return Fate.CHOSEN
        if any(hole.covers(leaves) for hole in self._spec.blackholes):
            return Fate.BLACKHOLE
        return Fate.LOST if lost else None

    def _start(self, leaves: int) -> int:
        spec = self._spec
        if spec.jitter:
            leaves = self._latest = max(self._latest, leaves + self._jitter.randint(0, spec.jitter))
        if spec.reorder and self._reorder.random() < spec.reorder:
            self._stats.reordered += 1
            leaves += spec.reorder_delay
        return leaves


def flip_bits(data: bytes, rng: Random) -> bytes:
    """Return `data` with 1 to 3 different random bits flipped (fewer only if it has fewer)."""
    damaged = bytearray(data)
    bits = 8 * len(damaged)
    for bit in rng.sample(range(bits), min(bits, rng.randint(1, 3))):
        damaged[bit >> 3] ^= 1 << (bit & 7)
    return bytes(damaged)
