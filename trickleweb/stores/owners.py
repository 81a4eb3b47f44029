"""Telling dead processes from living ones: each holds a lock on a file of its own, which dies with it.

The kernel drops the lock with the process, at once and however it ends; no clock, heartbeat or process id is believed.
Local file systems only.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class Owner:
    """This process as others see it; alive until `close`, or until the process is gone.

    A forked child that lives on would keep its parent alive in this sense: open owners after forking.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        while True:
            self.name = secrets.token_hex(8)
            self._path = folder / self.name
            self._descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            if _lock(self._descriptor) and _is_at(self._path, self._descriptor):
                return
            os.close(self._descriptor)  # someone who sweeps was between our two steps

    def close(self) -> None:
        """Be dead from now on."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._descriptor)


def is_alive(folder: Path, name: str) -> bool:
    """Whether the owner of that name holds its lock; the file of one that does not is removed."""
    path = folder / name
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        return False
    try:
        if not _lock(descriptor):
            return True
        if _is_at(path, descriptor):
            path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of the same block, waiting for them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the files of all that are dead."""
    for path in list(folder.iterdir()):
        is_alive(folder, path.name)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
