"""The identity of a store: 32 random bytes in a file, hashed with the file's inode and ctime.

Receipts and the tags of pieces depend on it. A copy of the directory, a restored backup or another machine's directory
in its place have another identity, although the random bytes are the same: the file has another inode or ctime, which
no tool can set. A copy of the whole file system, as in a snapshot of a virtual machine, cannot be distinguished; then
missing pieces show only by their absence.

A change of the file's mode, owner or links changes the identity too, and uploads under way are repeated.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from trickles.drivers.keystore.files import fault
from trickles.drivers.ownership import PRIVATE, check_directory, check_file
from trickles.errors import TricklesError, UnsafePlace
from trickles.spool import STORE_BYTES

FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK
_NAME = "identity"
_LOOK_EVERY = 1.0  # seconds: a directory may be replaced under a running process
_LOOKS, _PAUSE = 100, 0.002  # seconds: a file still incomplete was left by a process that died


class SpoolError(TricklesError):
    """The directory of a spool cannot be used: missing permissions, not a directory, or open to others."""


class Identity:
    """The identity file, read now and then, and made where it is missing."""

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        self._root = root
        self._path = root / _NAME
        self._clock = clock
        self._value = b""
        self._looked_at = -_LOOK_EVERY

    def current(self) -> bytes:
        """Return the identity, at most a second old; empty when the directory cannot be used now."""
        now = self._clock()
        if not 0 <= now - self._looked_at < _LOOK_EVERY:
            self._looked_at = now
            try:
                self._value = self._look()
            except (OSError, UnsafePlace):
                self._value = b""
        return self._value

    def _look(self) -> bytes:
        for _ in range(_LOOKS):
            try:
                if value := _read(self._path):
                    return value
            except FileNotFoundError:
                self._make()
            else:
                time.sleep(_PAUSE)  # another process is making it
        self._path.unlink(missing_ok=True)  # or died doing so
        self._make()
        return _read(self._path)

    def _make(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, 0o600)
        except FileExistsError:
            return
        try:
            os.write(descriptor, os.urandom(STORE_BYTES))
        finally:
            os.close(descriptor)


def _read(path: Path) -> bytes:
    """Return the identity of this file; empty while the file is incomplete."""
    descriptor = os.open(path, os.O_RDONLY | FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        if wrong := fault(status, path, PRIVATE):
            raise UnsafePlace(wrong)
        content = os.read(descriptor, STORE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) != STORE_BYTES:
        return b""
    file = status.st_ino.to_bytes(8, "big") + status.st_ctime_ns.to_bytes(16, "big", signed=True)
    return hashlib.sha256(b"trickles 1 spool" + content + file).digest()


def prepare(root: Path) -> None:
    """Make the directory if missing; SpoolError when it cannot be used or is open to others."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_directory(root, PRIVATE)
        check_file(root / _NAME, PRIVATE)
    except OSError as error:
        raise SpoolError(f"{root} cannot hold a spool: {error.strerror}") from None
    except UnsafePlace as error:
        raise SpoolError(str(error)) from None
    read_only = os.statvfs(root).f_flag & os.ST_RDONLY  # which may pass: until then nothing is stored
    if not os.access(root, os.R_OK | os.X_OK | (0 if read_only else os.W_OK)):
        raise SpoolError(f"{root} cannot hold a spool: it cannot be written")
