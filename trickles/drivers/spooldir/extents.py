"""Where the pieces of one connection's input are: in any order, overlaps, several logs; a hole stays a hole.

Pieces are kept by the 64 KiB of the input in which they begin, each as one integer (50 bytes): a stretch of input is
found without looking at the rest, whatever order a client has sent its pieces in. A piece is shorter than 64 KiB, so
what covers an offset begins in its stretch or in the one before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from trickles.drivers.spooldir.log import Record

_STRETCH_BITS = 16
_BELOW = (1 << _STRETCH_BITS) - 1
_START, _LENGTH, _POSITION = 80, 64, 48  # where in the integer they begin: 16 bits each, the log's number 48 bits above
_MOST_POSITION = (1 << _POSITION) - 1
MOST_LOGS = 1 << 16


class Extents:
    """Records by their place in the input; `stop` is the end of the highest piece."""

    def __init__(self) -> None:
        self._stretches: dict[int, list[int]] = {}
        self._reached = 0, 0  # from the first to the second there is no hole
        self.count = 0
        self.stop = 0

    def add(self, record: Record, log: int) -> None:
        """Note a record of log number `log`; one whose like is known already adds nothing."""
        start, stop, position = record
        stretch = self._stretches.setdefault(start >> _STRETCH_BITS, [])
        value = (start & _BELOW) << _START | (stop - start) << _LENGTH
        at = bisect_right(stretch, value - 1)
        if at < len(stretch) and stretch[at] >> _START == start & _BELOW:
            return  # at least as long
        stretch.insert(at, value | log << _POSITION | position)
        self.count += 1
        self.stop = max(self.stop, stop)
        first, reached = self._reached
        if start <= reached < stop:
            self._reached = first, stop

    def has(self, start: int, size: int) -> bool:
        """True when a record is known that begins there and is at least as long."""
        stretch, key = self._stretches.get(start >> _STRETCH_BITS, ()), (start & _BELOW) << _START | size << _LENGTH
        at = bisect_right(stretch, key - 1)
        return at < len(stretch) and stretch[at] >> _START == start & _BELOW

    def reach(self, start: int, stop: int) -> int:
        """Where the first hole above `start` begins, or `stop`."""
        first, reached = self._reached
        if not first <= start <= reached:
            first = reached = start
        for record, _ in self.covering(reached, stop):
            reached = record.stop
        self._reached = first, reached
        return min(reached, stop)

    def covering(self, start: int, stop: int) -> Iterator[tuple[Record, int]]:
        """Records, each with its log, that together have all bytes from `start` up to `stop` or the first hole."""
        while start < stop and (found := self._over(start)) is not None:
            stretch, at, values = found
            while True:  # mostly the next piece begins where this one ends, and stands next in the list
                record, log = _unpacked(values[at], stretch)
                yield record, log
                start = record.stop
                at += 1
                if start >= stop or at == len(values) or values[at] >> _START != start & _BELOW:
                    break
                if start >> _STRETCH_BITS != stretch:
                    break

    def _over(self, offset: int) -> tuple[int, int, list[int]] | None:
        """Which stretch, and which of its values, has the byte at `offset`."""
        number, low = offset >> _STRETCH_BITS, offset & _BELOW
        for stretch, below in ((number, low), (number - 1, _BELOW)):
            values = self._stretches.get(stretch)
            if values is None:
                continue
            for at in range(bisect_right(values, ((below + 1) << _START) - 1) - 1, -1, -1):
                value, start = values[at], stretch << _STRETCH_BITS
                if start + (value >> _START) + (value >> _LENGTH & _BELOW) > offset:
                    return stretch, at, values
        return None


def _unpacked(value: int, stretch: int) -> tuple[Record, int]:
    start = stretch << _STRETCH_BITS | value >> _START
    stop = start + (value >> _LENGTH & _BELOW)
    return Record(start, stop, value & _MOST_POSITION), value >> _POSITION & _BELOW
