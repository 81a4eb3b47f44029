"""Bytes delivered over time, and figures from them."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise


class DeliveryCurve:
    """The total of bytes delivered, at each time it grew (microseconds)."""

    __slots__ = ("times", "totals")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.totals: list[int] = []

    def add(self, now: int, count_bytes: int) -> None:
        self.times.append(now)
        self.totals.append(self.total + count_bytes)

    @property
    def total(self) -> int:
        return self.totals[-1] if self.totals else 0

    def at(self, when: int) -> int:
        """Return the bytes delivered up to and at `when`."""
        index = bisect_right(self.times, when)
        return self.totals[index - 1] if index else 0

    def rate(self, start: int, stop: int) -> float:
        """Return the bits per second delivered in (start, stop]; ValueError for an empty interval."""
        if stop <= start:
            raise ValueError(f"no time passes from {start} to {stop}")
        return (self.at(stop) - self.at(start)) * 8_000_000 / (stop - start)

    def longest_gap(self, start: int = 0) -> int:
        """Return the longest wait of a reader: from `start` or a delivery to the next one."""
        times = [start, *self.times[bisect_right(self.times, start) :]]
        return max((after - before for before, after in pairwise(times)), default=0)
