"""Reassembly of output bytes: bounded by what was asked for, duplicates dropped.

A bound in bytes does not bound memory: four million pieces of one byte take hundreds of megabytes. So pieces out of
order are bounded by number too, and small ones in order are joined once there are many.
"""

from __future__ import annotations

from collections import deque

from trickles.ranges import Range, RangeSet
from trickles.service import Buffer

_MANY = 64  # pieces in order, not taken yet
_SMALL_BYTES, _JOINED_BYTES = 256, 4096


class Reassembly:
    """A stream of bytes from pieces in any order; pieces in order pass through uncopied.

    `limit` lies one window above what was taken out, or higher if more was asked for before the window shrank; data
    above it is dropped.
    """

    __slots__ = ("_held", "_most_pieces", "_pieces", "_ready", "limit", "next_offset", "ready_bytes")

    def __init__(self, limit: int = 1 << 62, most_pieces: int = 1 << 62) -> None:
        self._most_pieces = most_pieces  # out of order; more are dropped, and asked for again
        self.limit = limit
        self.next_offset = 0  # everything below has arrived
        self.ready_bytes = 0
        self._ready: deque[Buffer] = deque()
        self._held = RangeSet()
        self._pieces: dict[int, Buffer] = {}

    def add(self, offset: int, data: Buffer) -> int:
        """Take one piece; return how many of its bytes were new."""
        size = len(data)
        if offset + size > self.limit:
            return 0
        if offset == self.next_offset:
            if not self._pieces:
                self._push(data, size)
                return size
        elif offset + size <= self.next_offset:
            return 0
        return self._add_slowly(offset, data, size)

    def _add_slowly(self, offset: int, data: Buffer, size: int) -> int:
        fresh = 0
        view = memoryview(data)
        for start, stop in self._held.missing(max(offset, self.next_offset), offset + size):
            if len(self._pieces) >= self._most_pieces and start > self.next_offset:
                break
            self._pieces[start] = bytes(view[start - offset : stop - offset])  # a view would hold the whole buffer
            self._held.add(start, stop)
            fresh += stop - start
        while self._pieces and (piece := self._pieces.pop(self.next_offset, None)) is not None:
            self._push(piece, len(piece))
        self._held.discard_below(self.next_offset)
        return fresh

    def _push(self, data: Buffer, size: int) -> None:
        if not size:
            return
        if size < _SMALL_BYTES and len(self._ready) >= _MANY:
            self._join(data)
        else:
            self._ready.append(data)
        self.next_offset += size
        self.ready_bytes += size

    def _join(self, data: Buffer) -> None:
        last = self._ready[-1]
        if isinstance(last, bytearray) and len(last) < _JOINED_BYTES:
            last += data
        else:
            self._ready.append(bytearray(data))

    @property
    def gaping(self) -> bool:
        return bool(self._pieces)

    @property
    def reach(self) -> int:
        return self._held.span[1] if self._held else self.next_offset

    def resize(self, window_bytes: int, asked: int) -> None:
        """Keep a window of that size above what was taken out, and all below `asked`."""
        self.limit = max(self.next_offset - self.ready_bytes + window_bytes, asked)

    def peek(self) -> bytes:
        return b"".join(self._ready)

    def restore(self, taken: int, ready: bytes) -> None:
        self.next_offset = taken
        self.limit += taken
        self._push(ready, len(ready))

    def missing(self, start: int, stop: int) -> list[Range]:
        offset = self.next_offset
        return self._held.missing(max(start, offset), stop) if stop > offset else []

    def take(self) -> list[Buffer]:
        ready = list(self._ready)
        self._ready.clear()
        self.limit += self.ready_bytes
        self.ready_bytes = 0
        return ready
