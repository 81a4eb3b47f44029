"""Where the pieces of one connection's input are: in any order, overlaps, several logs; a hole stays a hole.

Pieces are kept by the 64 KiB of the input in which they begin (a stretch), each as one integer (50 bytes), and none
lies within another: so those that begin later end later, and the one that reaches furthest over an offset is the last
that begins at it or before. A piece is shorter than 64 KiB, so what covers an offset begins in its stretch or in the
one before.

Beside them stands what they cover, as merged ranges in each stretch with holes and as ranges of whole stretches: how
far one can read is found in two or three steps, wherever one begins and however many pieces there are. (The end of one
reading, kept for the next, did that for an honest client; two commits far apart threw it away in turn.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from trickles.drivers.spooldir.log import Record
from trickles.ranges import RangeSet

_STRETCH_BITS = 16
_STRETCH_BYTES = 1 << _STRETCH_BITS
_BELOW = _STRETCH_BYTES - 1
_START, _LENGTH, _POSITION = 80, 64, 48  # where in the integer they begin: 16 bits each, the log's number 48 bits above
_MOST_POSITION = (1 << _POSITION) - 1


class Extents:
    """Records by their place in the input; `stop` is the end of the highest piece."""

    def __init__(self) -> None:
        self._stretches: dict[int, list[int]] = {}
        self._parts: dict[int, RangeSet] = {}  # what is covered of a stretch that has holes
        self._whole = RangeSet()  # numbers of stretches without
        self.count = 0  # of pieces, and of ranges in stretches that have holes
        self.stop = 0

    def add(self, record: Record, log: int) -> None:
        """Note a record of log number `log`; those within it go, and one within another is nothing."""
        start, stop, position = record
        number, low = start >> _STRETCH_BITS, start & _BELOW
        values = self._stretches.setdefault(number, [])
        at = bisect_right(values, ((low + 1) << _START) - 1)
        if self._stop_before(number, values, at) >= stop:
            return
        at -= bool(at and values[at - 1] >> _START == low)
        gone = _within(values, at, number, stop)
        if gone == len(values) and (after := self._stretches.get(number + 1)):
            beyond = _within(after, 0, number + 1, stop)
            self.count -= beyond
            del after[:beyond]
        self.count += 1 - (gone - at)
        values[at:gone] = [low << _START | (stop - start) << _LENGTH | log << _POSITION | position]
        self.stop = max(self.stop, stop)
        self._cover(number, low, min(low + stop - start, _STRETCH_BYTES))
        if stop > (number + 1) << _STRETCH_BITS:
            self._cover(number + 1, 0, stop & _BELOW)

    def has(self, start: int, size: int) -> bool:
        """True when all of those bytes are in records that are known."""
        return self.reach(start, start + size) >= start + size

    def reach(self, start: int, stop: int) -> int:
        """Where the first hole above `start` begins, or `stop`."""
        reached = self._reach_in_stretch(start)
        if reached > start and not reached & _BELOW:
            number = self._whole.reach(reached >> _STRETCH_BITS)
            reached = self._reach_in_stretch(number << _STRETCH_BITS)
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
        number = offset >> _STRETCH_BITS
        values = self._stretches.get(number, [])
        at = bisect_right(values, (((offset & _BELOW) + 1) << _START) - 1)
        if not at:
            number -= 1
            values = self._stretches.get(number, [])
            at = len(values)
        return (number, at - 1, values) if at and _stop_of(values[at - 1], number) > offset else None

    def _stop_before(self, number: int, values: list[int], at: int) -> int:
        """How far the record before that place reaches, in its stretch or in the one before it."""
        if at:
            return _stop_of(values[at - 1], number)
        before = self._stretches.get(number - 1)
        return _stop_of(before[-1], number - 1) if before else 0

    def _cover(self, number: int, start: int, stop: int) -> None:
        if self._whole.contains(number, number + 1):
            return
        part = self._parts.get(number) or self._parts.setdefault(number, RangeSet())
        held = len(part)
        part.add(start, stop)
        self.count += len(part) - held
        if part.contains(0, _STRETCH_BYTES):
            self.count -= 1
            del self._parts[number]
            self._whole.add(number, number + 1)

    def _reach_in_stretch(self, start: int) -> int:
        number, low = start >> _STRETCH_BITS, start & _BELOW
        part = self._parts.get(number)
        if part is not None:
            return start - low + part.reach(low)
        return start - low + _STRETCH_BYTES if self._whole.contains(number, number + 1) else start


def _within(values: list[int], at: int, stretch: int, stop: int) -> int:
    """The place of the first record from place `at` on that ends above `stop`."""
    while at < len(values) and _stop_of(values[at], stretch) <= stop:
        at += 1
    return at


def _stop_of(value: int, stretch: int) -> int:
    return (stretch << _STRETCH_BITS) + (value >> _START) + (value >> _LENGTH & _BELOW)


def _unpacked(value: int, stretch: int) -> tuple[Record, int]:
    start = stretch << _STRETCH_BITS | value >> _START
    stop = start + (value >> _LENGTH & _BELOW)
    return Record(start, stop, value & _MOST_POSITION), value >> _POSITION & _BELOW
