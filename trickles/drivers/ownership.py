"""Directories and files that only their owner may change: one rule for all that processes keep beside their keys.

Whoever can write a directory can put another file, socket or link in the place of any that lies in it: figures and pids
that are believed, a control socket that gives listening sockets away, a ledger. So where such things lie must belong to
this user or to root, and be writable by nobody else. Parents are not looked at, as ssh and gpg do not either.
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

__all__ = ["PRIVATE", "UNALTERED", "check_directory", "check_file", "read_whole", "write_whole"]

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # a FIFO in the file's place holds nobody up
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def check_directory(path: str | os.PathLike[str], forbidden: int = UNALTERED) -> None:
    """Return if others can do nothing to the directory that is `forbidden`; UnsafePlace says what mends it.

    OSError when it is not there or cannot be looked at; links are followed.
    """
    place = Path(path)
    status = place.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafePlace(f"{place} is not a directory")
    if wrong := fault(status, place, forbidden):
        raise UnsafePlace(wrong)


def check_file(path: str | os.PathLike[str], forbidden: int = UNALTERED) -> None:
    """As `check_directory` for a file, which need not be there yet; nobody else may change its directory.

    A link is refused: where it leads has a directory that was not looked at, and may be what somebody else uses.
    """
    place = Path(path)
    check_directory(place.parent)
    with suppress(FileNotFoundError):
        status = place.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise UnsafePlace(f"{place} is a symbolic link (to {place.readlink()}): rm {shlex.quote(str(place))}")
        if wrong := fault(status, place, forbidden):
            raise UnsafePlace(wrong)


def read_whole(path: Path, most_bytes: int) -> bytes:
    """Return a regular file's content, or all of it that was there; OSError for anything else, or a longer one."""
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
