"""Directories and files that only their owner may change: one rule for all files of a process besides its keys.

A user with write access to a directory can replace any file, socket or link in it: statistics and pids that others
trust, a control socket that gives listening sockets away, a ledger. So such a directory must belong to this user or to
root, and be writable by nobody else. Parents are not checked, as in ssh and gpg.
"""

from __future__ import annotations

import errno
import os
import secrets
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from trickles.drivers.keystore.files import PRIVATE, UNALTERED, fault
from trickles.errors import UnsafePlace

__all__ = ["PRIVATE", "UNALTERED", "check_directory", "check_file", "is_at", "read_whole", "write_whole"]

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # a FIFO in its place does not block
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def check_directory(path: str | os.PathLike[str], forbidden: int = UNALTERED) -> None:
    """Raise UnsafePlace, which says what mends it, if others can do something `forbidden` to the directory.

    OSError when it does not exist or is not accessible; links are followed.
    """
    place = Path(path)
    status = place.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafePlace(f"{place} is not a directory")
    if wrong := fault(status, place, forbidden):
        raise UnsafePlace(wrong)


def check_file(path: str | os.PathLike[str], forbidden: int = UNALTERED) -> None:
    """Check a file, which need not exist, as `check_directory` does; nobody else may change its directory.

    A link is refused: its target lies in a directory that was not checked.
    """
    place = Path(path)
    check_directory(place.parent)
    with suppress(FileNotFoundError):
        status = place.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise UnsafePlace(f"{place} is a symbolic link (to {place.readlink()}): rm {shlex.quote(str(place))}")
        if wrong := fault(status, place, forbidden):
            raise UnsafePlace(wrong)


def is_at(path: Path, held: os.stat_result | int) -> bool:
    """Return whether the path leads to that file, an open one if `held` is its descriptor; links are followed.

    OSError when that cannot be known now.
    """
    try:
        return os.path.samestat(path.stat(), os.fstat(held) if isinstance(held, int) else held)
    except (FileNotFoundError, NotADirectoryError):
        return False


def read_whole(path: Path, most_bytes: int) -> bytes:
    """Return a regular file's content; OSError for anything else, or a longer file."""
    descriptor = os.open(path, _READ)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        data = os.read(descriptor, most_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, "too long", str(path))
    return data


def write_whole(path: Path, text: str) -> None:
    """Replace a file's content in one step: a reader sees the old or the new, a link is replaced and not followed."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(fresh, _FRESH, 0o644)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
