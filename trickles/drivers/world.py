"""The clocks and the random source that drivers hand to the engines."""

from __future__ import annotations

import os
import time
from weakref import WeakSet

_POOL_BYTES = 8192


def monotonic_us() -> int:
    """Microseconds that never go back: the client's time."""
    return time.monotonic_ns() // 1000


def wall_us() -> int:
    """Microseconds since 1970: the listener's time."""
    return time.time_ns() // 1000


class EntropyPool:
    """Random bytes from the system, drawn in blocks: a salt per reply would otherwise cost a system call each."""

    __slots__ = ("__weakref__", "_at", "_block")

    def __init__(self) -> None:
        self.forget()
        _POOLS.add(self)

    def forget(self) -> None:
        """Drop what was drawn in advance."""
        self._block = b""
        self._at = 0

    def __call__(self, size: int) -> bytes:
        """`size` random bytes, never given out twice, not even to a forked child."""
        start = self._at
        stop = start + size
        if stop > len(self._block):
            self._block, start, stop = os.urandom(max(_POOL_BYTES, size)), 0, size
        self._at = stop
        return self._block[start:stop]


_POOLS: WeakSet[EntropyPool] = WeakSet()


def _forget_all() -> None:
    for pool in _POOLS:
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)
