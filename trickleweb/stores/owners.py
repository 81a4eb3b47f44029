"""Detection of dead processes: each holds a lock on a file of its own, which the kernel drops with the process.

That happens at once, however the process ends; no clock, heartbeat or process id is trusted. Local file systems only.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from trickles.drivers.ownership import is_at
from trickles.drivers.unshared import close_unshared, unshared

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class Owner:
    """This process as seen by others; alive until `close`, or until the process ends, whatever its children do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        while True:
            self.name = secrets.token_hex(8)
            self._path = folder / self.name
            self._descriptor = unshared(partial(os.open, self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600))
            if _lock(self._descriptor) and is_at(self._path, self._descriptor):
                return
            close_unshared(self._descriptor)  # a sweep came between the two steps

    def close(self) -> None:
        """Mark this owner as dead."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        close_unshared(self._descriptor)


def is_alive(folder: Path, name: str) -> bool:
    """Return whether the owner of that name holds its lock; remove its file otherwise."""
    path = folder / name
    try:
        descriptor = unshared(lambda: os.open(path, _FLAGS))
    except FileNotFoundError:
        return False
    try:
        if not _lock(descriptor):
            return True
        if is_at(path, descriptor):
            path.unlink(missing_ok=True)
        return False
    finally:
        close_unshared(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Exclude other processes from the same block, waiting for them."""
    descriptor = unshared(lambda: os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        close_unshared(descriptor)


def sweep(folder: Path) -> None:
    """Remove the files of all dead owners."""
    for path in list(folder.iterdir()):
        is_alive(folder, path.name)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
