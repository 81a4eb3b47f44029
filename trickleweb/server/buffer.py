"""Buffer of one body in the order of its making: the latest part is kept, all of it is digested."""

from __future__ import annotations

import hashlib
from bisect import bisect_right

from trickles.service import Buffer
from trickleweb.server.errors import Evicted
from trickleweb.server.tokens.ranges import DIGEST_BYTES


class BodyBuffer:
    """Bytes [start, stop) of a body; bytes before `start` are kept as digests only.

    `origin` is the offset of the first byte ever appended, from which these count. Appended bytes are
    joined into blocks of at least `block_bytes`.
    """

    __slots__ = ("_before", "_block_bytes", "_blocks", "_made", "_offsets", "_tail", "origin", "start", "stop")

    def __init__(self, origin: int = 0, block_bytes: int = 1 << 16) -> None:
        self.origin = self.start = self.stop = origin
        self._block_bytes = block_bytes
        self._offsets: list[int] = []
        self._blocks: list[bytes] = []  # whole ones, followed by `_tail`
        self._before: list[hashlib._Hash] = []  # of [origin, offset), for each block
        self._made = hashlib.sha256()  # of all before the tail
        self._tail = bytearray()

    def append(self, data: bytes) -> None:
        self._tail += data
        self.stop += len(data)
        if len(self._tail) >= self._block_bytes:
            self._offsets.append(self.stop - len(self._tail))
            self._blocks.append(bytes(self._tail))
            self._before.append(self._made.copy())
            self._made.update(self._tail)
            self._tail = bytearray()

    def parts(self, start: int, stop: int) -> list[Buffer]:
        """Return bytes [start, stop) in one or more buffers; raise `Evicted` below `start`."""
        if start < self.start:
            raise Evicted
        found: list[Buffer] = []
        at = max(bisect_right(self._offsets, start) - 1, 0)
        for offset, block in zip(self._offsets[at:], self._blocks[at:], strict=True):
            if offset >= stop:
                break
            if offset + len(block) > start:
                found.append(memoryview(block)[max(start - offset, 0) : stop - offset])
        tail_at = self.stop - len(self._tail)
        if stop > max(tail_at, start):
            found.append(bytes(memoryview(self._tail)[max(start - tail_at, 0) : stop - tail_at]))
        return found

    def digest(self, start: int, stop: int) -> bytes:
        """Return the digest of [start, stop), from the origin or a kept byte on; raise `Evicted` otherwise."""
        made = hashlib.sha256()
        if start == self.origin:
            tail_at = self.stop - len(self._tail)
            at = bisect_right(self._offsets, stop) - 1
            if stop >= tail_at:
                made, start = self._made.copy(), tail_at
            elif at >= 0:
                made, start = self._before[at].copy(), self._offsets[at]
        for part in self.parts(start, stop):
            made.update(part)
        return made.digest()[:DIGEST_BYTES]

    def drop_below(self, offset: int) -> None:
        """Drop whole blocks that end at or before `offset`."""
        while self._blocks and self._offsets[0] + len(self._blocks[0]) <= offset:
            self.start += len(self._blocks.pop(0))
            del self._offsets[0], self._before[0]

    def clear(self) -> None:
        self._made.update(self._tail)
        for each in (self._offsets, self._blocks, self._before, self._tail):
            each.clear()
        self.start = self.stop

    @property
    def kept_bytes(self) -> int:
        return self.stop - self.start
