"""The replay filter: request tags seen lately, in fixed memory, losable at any time."""

from __future__ import annotations

import struct
from array import array

_PARTS = struct.Struct(">I4B8x")
_BLOCK_BITS = 64
_NEVER = -(1 << 62)
_MARKS = tuple([1 << (byte % _BLOCK_BITS) for byte in range(256)])


class ReplayFilter:
    """Two rotating Bloom filters over authenticated request tags; a tag seen in either is a replay.

    The tag of an AEAD is a good hash: its first word selects a block of 64 bits, the next four bytes one bit each of
    that block, so one memory access decides. Each generation serves one `period`; a tag is remembered for one
    to two periods, longer than a continuation lives. With 2^24 bits a false positive (a request dropped, recovered by
    the client's probe) stays below 1 in 10,000 up to 100,000 requests a period, and below 1 in 300 up to 600,000.
    The blocks of both generations alternate in memory: those in force have the odd places or the even ones.
    """

    __slots__ = ("_cells", "_force", "_mask", "_period", "_rotates_at")

    def __init__(self, *, bits: int, period: int) -> None:
        if bits < 64 or bits & (bits - 1):
            raise ValueError("bits must be a power of two")
        self._mask = bits // _BLOCK_BITS - 1
        self._period = period
        self._cells: array[int] = array("Q", bytes(bits // 4))
        self._force = 0
        self._rotates_at = _NEVER

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
        return cells[at ^ 1] & marks == marks

    def set_back(self, step: int) -> None:
        """Adjust to a clock that was set back by `step`: each generation lasts as long as it would have."""
        self._rotates_at -= step

    def _rotate(self, now: int) -> None:
        size = 8 * (self._mask + 1)
        if self._rotates_at > _NEVER:
            self._force ^= 1
            self._cells[self._force :: 2] = array("Q", bytes(size))
            if now - self._rotates_at >= self._period:
                self._cells = array("Q", bytes(2 * size))
        self._rotates_at = now + self._period
