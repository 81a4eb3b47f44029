"""Receive buffers that are reused, but only once no view of them exists.

A fresh 64 KiB buffer for each call costs several times the call itself when a backlog is drained (the allocator gives
memory back and faults it in again): 32 against 6 microseconds. Simple reuse would change bytes that are still in use.
"""

from __future__ import annotations


class BufferPool:
    """At most `keep` idle buffers of one size; each may hold `size_bytes` bytes."""

    __slots__ = ("_idle", "_keep", "_lent", "_size_bytes")

    def __init__(self, size_bytes: int, keep: int) -> None:
        self._size_bytes = size_bytes
        self._keep = keep
        self._idle: list[bytearray] = []
        self._lent: list[bytearray] = []

    def take(self) -> bytearray:
        """Return a free buffer; then `give_back` it unused, or `lend` it."""
        if not self._idle:
            self.reclaim()
        return self._idle.pop() if self._idle else bytearray(self._size_bytes + 1)

    def give_back(self, buffer: bytearray) -> None:
        self._idle.append(buffer)

    def lend(self, buffer: bytearray, size_bytes: int) -> memoryview:
        """Return a view of the buffer's first bytes, which do not change while it or a slice of it lives."""
        self._lent.append(buffer)
        return memoryview(buffer)[:size_bytes]

    def reclaim(self) -> None:
        """Make lent buffers without views idle again; forget the oldest when too many are held."""
        held: list[bytearray] = []
        for buffer in self._lent:
            (self._idle if _unviewed(buffer) else held).append(buffer)
        self._lent = held[-self._keep :]
        del self._idle[self._keep :]


def _unviewed(buffer: bytearray) -> bool:
    """Return True when no memoryview of the buffer lives: Python refuses to resize one that is viewed."""
    try:
        buffer.append(buffer.pop())
    except BufferError:
        return False
    return True
