"""Half-open integer ranges kept sorted, disjoint and merged."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

Range = tuple[int, int]


class RangeSet:
    """A set of integers stored as ranges [start, stop); appending costs O(1)."""

    __slots__ = ("_starts", "_stops")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __iter__(self) -> Iterator[Range]:
        return iter(zip(self._starts, self._stops, strict=True))

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def span(self) -> Range:
        """The lowest start and the highest stop; IndexError when empty."""
        return self._starts[0], self._stops[-1]

    def add(self, start: int, stop: int) -> None:
        if start >= stop:
            return
        if self._stops and self._stops[-1] == start:
            self._stops[-1] = stop
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def discard(self, start: int, stop: int) -> None:
        first, last = bisect_right(self._stops, start), bisect_left(self._starts, stop)
        if start >= stop or first >= last:
            return
        ends = ((self._starts[first], start), (stop, self._stops[last - 1]))
        kept = [(a, b) for a, b in ends if a < b]
        self._starts[first:last] = [a for a, _ in kept]
        self._stops[first:last] = [b for _, b in kept]

    def discard_below(self, bound: int) -> None:
        if not self._starts:
            return
        index = bisect_right(self._stops, bound)
        del self._starts[:index], self._stops[:index]
        if self._starts and self._starts[0] < bound:
            self._starts[0] = bound

    def contains(self, start: int, stop: int) -> bool:
        index = bisect_right(self._starts, start) - 1
        return start >= stop or (index >= 0 and self._stops[index] >= stop)

    def reach(self, start: int) -> int:
        """Return the first integer from `start` on that is not in the set."""
        index = bisect_right(self._starts, start) - 1
        return max(start, self._stops[index]) if index >= 0 else start

    def missing(self, start: int, stop: int) -> list[Range]:
        """Return the parts of [start, stop) that are not in the set, in order."""
        gaps: list[Range] = []
        index = bisect_right(self._stops, start)
        while start < stop and index < len(self._starts) and self._starts[index] < stop:
            if self._starts[index] > start:
                gaps.append((start, self._starts[index]))
            start = self._stops[index]
            index += 1
        if start < stop:
            gaps.append((start, stop))
        return gaps
