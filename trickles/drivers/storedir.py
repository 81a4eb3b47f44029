"""A directory that is a store: its identity is 32 random bytes in a file, hashed with the file's inode and ctime.

A copy of the directory, a restored backup or another machine's directory in its place have another identity, although
the random bytes are the same: the file has another inode or ctime, which no tool can set. A copy of the whole file
system, as in a snapshot of a virtual machine, cannot be distinguished; then what is missing shows only by its absence.

A change of the file's mode, owner or links changes the identity too, and what was under way is repeated or broken off.

The file may begin with a form, which names the store's kind and release; a directory of another form is refused.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from trickles.drivers.keystore.files import UnsafeFile, read_open_file
from trickles.drivers.ownership import PRIVATE, check_directory, check_file
from trickles.errors import TricklesError, UnsafePlace
from trickles.spool import STORE_BYTES

FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK
_NAME = "identity"
_LOOK_EVERY = 1.0  # seconds: a directory may be replaced under a running process
_LOOKS, _PAUSE = 100, 0.002  # seconds: a file still incomplete was left by a process that died
_SETTLED_NS = 1_000_000_000  # file systems count time in steps of some milliseconds
_MOST_BYTES = 1 << 10  # any release's file is shorter


class StoreDirectoryError(TricklesError):
    """The directory of a store cannot be used: missing permissions, not a directory, open to others, another form."""


class Identity:
    """The identity file, read now and then, and made where it is missing."""

    def __init__(self, root: Path, clock: Callable[[], float], form: bytes = b"") -> None:
        self._root = root
        self._path = root / _NAME
        self._clock = clock
        self._form = form
        self._value = b""
        self._seen = (0, 0, 0)
        self._looked_at = -_LOOK_EVERY
        self.trouble: Exception | None = None  # why the directory cannot be used

    def current(self) -> bytes:
        """Return the identity, at most a second old; empty when the directory cannot be used now."""
        now = self._clock()
        return self._value if 0 <= now - self._looked_at < _LOOK_EVERY else self.look()

    def look(self) -> bytes:
        """Return the identity as it is now; empty when the directory cannot be used."""
        self._looked_at = self._clock()
        if self._value and self._is_unchanged():
            return self._value
        try:
            self._value, self.trouble = self._found(), None
        except (OSError, StoreDirectoryError) as error:
            self._value, self.trouble = b"", error
        return self._value

    def _is_unchanged(self) -> bool:
        """Return True if the file is the one that was read; False too while a change may be too young to show."""
        try:
            status = self._path.lstat()
        except OSError:
            return False
        return _state(status) == self._seen and time.time_ns() - status.st_ctime_ns > _SETTLED_NS

    def _found(self) -> bytes:
        for _ in range(_LOOKS):
            try:
                if value := self._read():
                    return value
            except FileNotFoundError:
                self._make()
            else:
                time.sleep(_PAUSE)  # another process is making it
        self._path.unlink(missing_ok=True)  # or died doing so
        self._make()
        return self._read()

    def _make(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, 0o600)
        except FileExistsError:
            return
        try:
            os.write(descriptor, self._form + os.urandom(STORE_BYTES))
        finally:
            os.close(descriptor)

    def _read(self) -> bytes:
        """Return the identity of this file; empty while the file is incomplete."""
        descriptor = os.open(self._path, os.O_RDONLY | FLAGS)
        try:
            content = read_open_file(descriptor, self._path, PRIVATE, _MOST_BYTES)
            status = os.fstat(descriptor)
        except UnsafeFile as error:
            raise StoreDirectoryError(str(error)) from None
        finally:
            os.close(descriptor)
        form = self._form
        if not content.startswith(form[: len(content)]) or (form and len(content) > len(form) + STORE_BYTES):
            raise StoreDirectoryError(f"{self._root} is of another release: remove it when all replicas have stopped")
        if len(content) != len(form) + STORE_BYTES:
            return b""
        self._seen = _state(status)
        file = status.st_ino.to_bytes(8, "big") + status.st_ctime_ns.to_bytes(16, "big", signed=True)
        return hashlib.sha256((form or b"trickles 1 spool") + content + file).digest()


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_ctime_ns


def prepare(root: Path, purpose: str) -> None:
    """Make the directory if missing; StoreDirectoryError when it cannot hold a `purpose`, or is open to others."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_directory(root, PRIVATE)
        check_file(root / _NAME, PRIVATE)
    except OSError as error:
        raise StoreDirectoryError(f"{root} cannot hold {purpose}: {error.strerror}") from None
    except UnsafePlace as error:
        raise StoreDirectoryError(str(error)) from None
    if not os.access(root, os.R_OK | os.X_OK | (0 if is_read_only(root) else os.W_OK)):
        raise StoreDirectoryError(f"{root} cannot hold {purpose}: it cannot be written")


def is_read_only(root: Path) -> bool:
    """Return True on a file system mounted read-only, which may pass: until then nothing is stored."""
    return bool(os.statvfs(root).f_flag & os.ST_RDONLY)
