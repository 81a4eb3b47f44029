"""The replay filter: request tags seen lately, in bounded memory, losable at any time."""

from __future__ import annotations

import struct
from array import array

_PARTS = struct.Struct(">I4B8x")
_BLOCK_BITS = 64
_FIRST_BITS = 1 << 14  # of a new filter: 2 KiB
_GROWTH = 32
_BLOCKS_PER_TAG = 16  # before it grows, so that the copies of earlier marks add little
_NEVER = -(1 << 62)
_MARKS = tuple([1 << (byte % _BLOCK_BITS) for byte in range(256)])


class ReplayFilter:
    """Two rotating Bloom filters over authenticated request tags; a tag seen in either is a replay.

    The tag of an AEAD is a good hash: its first word selects a block of 64 bits, the next four bytes one bit each of
    that block, so one memory access decides. Each generation serves one `period`; a tag is remembered for one
    to two periods, longer than a continuation lives. With 2^24 bits a false positive (a request dropped, recovered by
    the client's probe) stays below 1 in 10,000 up to 100,000 requests a period, and below 1 in 300 up to 600,000.
    The blocks of both generations alternate in memory: those in force have the odd places or the even ones.

    A generation begins with 2 KiB and grows to `bits` as tags come. A block then has several successors, and each gets
    a copy of its marks: so no tag is forgotten, and some more look known, which the figures above include.
    """

    __slots__ = ("_cells", "_force", "_mask", "_most", "_period", "_room", "_rotates_at")

    def __init__(self, *, bits: int, period: int) -> None:
        if bits < 64 or bits & (bits - 1):
            raise ValueError("bits must be a power of two")
        self._most = bits // _BLOCK_BITS  # blocks of a generation
        self._period = period
        self._force = 0
        self._rotates_at = _NEVER
        self._clear()

    def seen(self, tag: bytes, *, now: int) -> bool:
        """Remember the 16-byte tag; return True when it was known already."""
        if now >= self._rotates_at:
            self._rotate(now)
        block: int
        block, a, b, c, d = _PARTS.unpack(tag)
        cells, at = self._cells, (block & self._mask) << 1 | self._force
        marks: int = _MARKS[a] | _MARKS[b] | _MARKS[c] | _MARKS[d]
        found = cells[at]
        if found & marks == marks:
            return True
        cells[at] = found | marks
        known = cells[at ^ 1] & marks == marks
        self._room -= 1
        if not self._room:
            self._grow()
        return known

    def set_back(self, step: int) -> None:
        """Adjust to a clock that was set back by `step`: each generation lasts as long as it would have."""
        self._rotates_at -= step

    def _rotate(self, now: int) -> None:
        if self._rotates_at > _NEVER:
            self._force ^= 1
            self._cells[self._force :: 2] = array("Q", bytes(8 * (self._mask + 1)))
            if now - self._rotates_at >= self._period:
                self._clear()
        self._rotates_at = now + self._period

    def _clear(self) -> None:
        blocks = min(self._most, _FIRST_BITS // _BLOCK_BITS)
        self._use(array("Q", bytes(16 * blocks)), blocks)

    def _grow(self) -> None:
        blocks = self._mask + 1
        factor = min(_GROWTH, self._most // blocks)
        if factor > 1:
            self._use(self._cells * factor, blocks * factor)

    def _use(self, cells: array[int], blocks: int) -> None:
        """Use those blocks of both generations from now on."""
        self._cells: array[int] = cells
        self._mask = blocks - 1
        self._room = blocks // _BLOCKS_PER_TAG  # tags before it grows
