"""The clocks and the random source that drivers hand to the engines."""

from __future__ import annotations

import os
import time

_POOL_BYTES = 8192


def monotonic_us() -> int:
    """Microseconds that never go back: the client's time."""
    return time.monotonic_ns() // 1000


def wall_us() -> int:
    """Microseconds since 1970: the listener's time."""
    return time.time_ns() // 1000


class EntropyPool:
    """Random bytes from the system, drawn in blocks: a salt per reply would otherwise cost a system call each."""

    __slots__ = ("_at", "_block", "_owner")

    def __init__(self) -> None:
        self._block = b""
        self._at = 0
        self._owner = os.getpid()

    def __call__(self, size: int) -> bytes:
        """`size` random bytes, never given out twice, not even to a forked child."""
        start = self._at
        if start + size > len(self._block) or self._owner != os.getpid():
            self._block, start, self._owner = os.urandom(max(_POOL_BYTES, size)), 0, os.getpid()
        self._at = start + size
        return self._block[start : self._at]
