"""Properties of a link as one value, to print, compare and vary with `dataclasses.replace`."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.testing.losses import Blackhole, Loss

_PROBABILITIES = ("reorder", "duplicate", "corrupt")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    """One direction of a wire and its queue; the defaults are a perfect wire without delay.

    Times are microseconds. `rate` is in bits per second and includes IP and UDP headers. The queue counts waiting
    packets, not the one on the wire; `queue_bytes` includes the rest of that one. Losses happen on the wire: a lost
    packet has used its time. Packets are numbered from 1 for `drop`.
    """

    rate: int | None = None  # None: unlimited
    delay: int = 0
    jitter: int = 0  # up to this much more delay; order is kept
    queue_packets: int | None = None  # None: no limit
    queue_bytes: int | None = None
    mtu: int | None = None  # largest IP packet in bytes; larger ones are dropped silently
    loss: Loss = 0.0
    drop: frozenset[int] = frozenset()
    blackholes: tuple[Blackhole, ...] = ()
    reorder: float = 0.0  # chance to be delayed by `reorder_delay` while later packets pass
    reorder_delay: int = 10_000
    duplicate: float = 0.0
    corrupt: float = 0.0  # chance that 1 to 3 random bits of the payload flip

    def __post_init__(self) -> None:
        numbers = (self.delay, self.jitter, self.reorder_delay, self.queue_packets or 0, self.queue_bytes or 0)
        if min(numbers) < 0 or (self.rate is not None and self.rate <= 0):
            raise ValueError(f"a link cannot have a negative quantity: {self}")
        if any(not 0 <= getattr(self, name) <= 1 for name in _PROBABILITIES):
            raise ValueError(f"a probability lies between 0 and 1: {self}")

    @property
    def impaired(self) -> bool:
        """True when there are impairments besides rate, delay, queue and MTU."""
        chances = (self.loss, self.reorder, self.duplicate, self.corrupt, self.jitter)
        return bool(self.drop or self.blackholes) or any(chance != 0 for chance in chances)


TEN_MEGABIT = LinkSpec(rate=10_000_000, delay=15_000, queue_packets=25)
"""The path of the standard scenarios: 10 Mbit/s, 15 ms one way, a drop-tail queue of 25 packets."""
