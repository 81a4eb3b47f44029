"""Looks at the files of responses that another process writes, while coroutines wait for them."""

from __future__ import annotations

import asyncio

from trickleweb.response_store import Growth
from trickleweb.stores.response_files import StoredFile
from trickleweb.stores.waiters import Waiters

_LEAST_S = 0.01  # between two looks
_EACH_S = 0.0001  # more for each file: a look takes a tenth of it


class Looks:
    """Files and their sizes at the last look; wakes those who wait for a file that has changed."""

    def __init__(self, waiters: Waiters[bytes]) -> None:
        self._waiters = waiters
        self._files: dict[bytes, tuple[StoredFile, int]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, name: bytes, file: StoredFile, size: int) -> None:
        """Look at that file, which has that size and is open, until it changes or nobody waits for it."""
        self._files[name] = file, size
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LEAST_S, self._look)

    def close(self) -> None:
        self._files.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        for name, (file, size) in list(self._files.items()):
            if not self._waiters.has(name) or _has_changed(file, size):
                del self._files[name]
                self._waiters.wake((name,))
        self._timer = None
        if self._files:
            pause = max(_LEAST_S, _EACH_S * len(self._files))
            self._timer = asyncio.get_running_loop().call_later(pause, self._look)


def _has_changed(file: StoredFile, size: int) -> bool:
    try:
        return file.state() != (size, Growth.OPEN)
    except OSError:
        return True  # the reader gets the error
