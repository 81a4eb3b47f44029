"""The places of one connection's pieces: in any order, with overlaps and holes, in several logs.

Pieces are kept by the 64 KiB of the input in which they begin (a stretch), each as one integer (50 bytes), and none
lies within another: so those that begin later end later, and the one that reaches furthest over an offset is the last
that begins at or before it. A piece is shorter than 64 KiB, so a piece over an offset begins in its stretch or in the
one before.

The covered bytes are kept too, as merged ranges in each stretch with holes and as ranges of whole stretches: the end of
readable input is found in two or three steps, from any offset and with any number of pieces. (A cached end of the last
read served an honest client only; two commits far apart replaced each other's.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from trickles.drivers.spooldir.log import Record
from trickles.ranges import RangeSet

_STRETCH_BITS = 16
_STRETCH_BYTES = 1 << _STRETCH_BITS
_BELOW = _STRETCH_BYTES - 1
_START, _LENGTH, _POSITION = 80, 64, 48  # bit positions: 16 bits each, the log's number at bit 48 above
_MOST_POSITION = (1 << _POSITION) - 1


class Extents:
    """Records by their place in the input; `stop` is the end of the highest piece."""

    def __init__(self) -> None:
        self._stretches: dict[int, list[int]] = {}
        self._parts: dict[int, RangeSet] = {}  # covered bytes of a stretch with holes
        self._whole = RangeSet()  # numbers of stretches without
        self.count = 0  # of pieces, and of ranges in stretches with holes
        self.stop = 0

    def add(self, record: Record, log: int) -> None:
        """Add a record of log number `log`; records within it are dropped, and one within another is ignored."""
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
        return self.reach(start, start + size) >= start + size

    def reach(self, start: int, stop: int) -> int:
        """Return where the first hole above `start` begins, or `stop`."""
        reached = self._reach_in_stretch(start)
        if reached > start and not reached & _BELOW:
            number = self._whole.reach(reached >> _STRETCH_BITS)
            reached = self._reach_in_stretch(number << _STRETCH_BITS)
        return min(reached, stop)

    def covering(self, start: int, stop: int) -> Iterator[tuple[Record, int]]:
        """Yield records, with their logs, that together have all bytes from `start` to `stop` or the first hole."""
        while start < stop and (found := self._over(start)) is not None:
            stretch, at, values = found
            while True:  # mostly the next piece begins where this one ends
                record, log = _unpacked(values[at], stretch)
                yield record, log
                start = record.stop
                at += 1
                if start >= stop or at == len(values) or values[at] >> _START != start & _BELOW:
                    break
                if start >> _STRETCH_BITS != stretch:
                    break

    def _over(self, offset: int) -> tuple[int, int, list[int]] | None:
        """Return stretch, index and values of the record with the byte at `offset`."""
        number = offset >> _STRETCH_BITS
        values = self._stretches.get(number, [])
        at = bisect_right(values, (((offset & _BELOW) + 1) << _START) - 1)
        if not at:
            number -= 1
            values = self._stretches.get(number, [])
            at = len(values)
        return (number, at - 1, values) if at and _stop_of(values[at - 1], number) > offset else None

    def _stop_before(self, number: int, values: list[int], at: int) -> int:
        """Return the end of the record before that place, in its stretch or in the one before it."""
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
    """Return the index of the first record from `at` on that ends above `stop`."""
    while at < len(values) and _stop_of(values[at], stretch) <= stop:
        at += 1
    return at


def _stop_of(value: int, stretch: int) -> int:
    return (stretch << _STRETCH_BITS) + (value >> _START) + (value >> _LENGTH & _BELOW)


def _unpacked(value: int, stretch: int) -> tuple[Record, int]:
    start = stretch << _STRETCH_BITS | value >> _START
    stop = start + (value >> _LENGTH & _BELOW)
    return Record(start, stop, value & _MOST_POSITION), value >> _POSITION & _BELOW
