"""System calls for static files: stamps, reading, and classified errors.

Only errors that mean absence count as absence. All others (no descriptor or memory left, an I/O error, a stale handle
of a network file system) are `FilesUnavailable`: the file's state is unknown, and they may pass.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Iterator

from trickleweb.files.errors import FilesError, FilesUnavailable, NoSuchFile, Unreadable
from trickleweb.files.stamps import SECOND_NS, FileStamp, Mark

OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a FIFO or terminal must not block
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # closing open files may help
_BLOCK_BYTES = 1 << 20
_MAX_SIZE_BYTES, _MASK = (1 << 63) - 1, (1 << 64) - 1
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799  # the years 1 to 9999, the range of HTTP dates
_ABSENT = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EXDEV, errno.EINVAL}
    | {errno.ENXIO, errno.ENODEV, errno.EILSEQ}  # a socket, a device without driver, a name that no file can have
)
_SHARE = 4  # a quarter is for files: sockets, databases and programs need the rest
_LEAST, _MOST = 4, 1024
close = os.close


def stamp_of(path_or_descriptor: str | int) -> FileStamp:
    """Return the stamp of a regular file; raise `NoSuchFile` for anything else."""
    stamp, is_folder = look_at(path_or_descriptor)
    if is_folder:
        raise NoSuchFile("a folder")
    return stamp


def look_at(path_or_descriptor: str | int, folder: int | None = None) -> tuple[FileStamp, bool]:
    """Return the stamp of a regular file or folder, and whether it is a folder; links are followed.

    A path is relative to the open `folder`.
    """
    try:
        found = os.stat(path_or_descriptor, dir_fd=folder)
    except OSError as exc:
        raise translated(exc) from None
    except ValueError as exc:  # a NUL, or an impossible file name
        raise NoSuchFile(str(exc)) from None
    return _stamp(found)


def _stamp(found: os.stat_result) -> tuple[FileStamp, bool]:
    is_folder = stat.S_ISDIR(found.st_mode)
    if not is_folder and not stat.S_ISREG(found.st_mode):
        raise NoSuchFile("neither a file nor a folder")
    metadata = (found.st_mode, found.st_nlink, found.st_uid, found.st_gid)
    stamp = stamp_from(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, metadata)
    return stamp, is_folder


def stamp_from(
    device: int, inode: int, size_bytes: int, modified_ns: int, changed_ns: int, metadata: tuple[int, int, int, int]
) -> FileStamp:
    """Return a stamp of a file system's numbers; times beyond the years 1 to 9999 become their first or last."""
    mode, links, owner, group = metadata
    return FileStamp(
        device & _MASK,
        inode & _MASK,
        min(max(size_bytes, 0), _MAX_SIZE_BYTES),
        bounded_ns(modified_ns),
        bounded_ns(changed_ns),
        (mode & _MASK, links & _MASK, owner & _MASK, group & _MASK),
    )


def bounded_ns(time_ns: int) -> int:
    """Return a time within the years 1 to 9999; their ends are whole seconds, which are no evidence."""
    return min(max(time_ns, FIRST_SECOND * SECOND_NS), LAST_SECOND * SECOND_NS)


def mark_of(path_or_descriptor: str | int, folder: int | None = None) -> Mark | None:
    """Return the beginning of a stamp, at less cost; None if unavailable. One with times out of bounds matches none."""
    try:
        found = os.stat(path_or_descriptor, dir_fd=folder)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def path_of(descriptor: int) -> str:
    """Return the current path of an open file, "" where the system does not give it."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - of text, as all here
    except OSError:
        return ""


def exists(path: str, folder: int | None = None) -> bool:
    """Return whether a path seems to exist; cheaper than a stamp where the answer is mostly no."""
    return os.access(path, os.F_OK, dir_fd=folder)


def read_range(descriptor: int, start: int, stop: int) -> bytes:
    """Return the bytes [start, stop) of an open file; fewer where it has become shorter."""
    try:
        return os.pread(descriptor, stop - start, start)
    except OSError as exc:
        raise translated(exc) from None


def blocks(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes [start, stop) of an open file in blocks of 1 MiB; fewer where it has become shorter."""
    while start < stop and (block := read_range(descriptor, start, min(start + _BLOCK_BYTES, stop))):
        yield block
        start += len(block)


def translated(exc: OSError) -> FilesError:
    """Return the meaning of a system error: absence, an unreadable file, or an unknown state."""
    if isinstance(exc, PermissionError):
        return Unreadable(str(exc))
    return NoSuchFile(str(exc)) if exc.errno in _ABSENT else FilesUnavailable(str(exc), exc.errno or 0)


def duplicate(descriptor: int) -> int:
    """Return another descriptor of the same open file."""
    try:
        return os.dup(descriptor)
    except OSError as exc:
        raise translated(exc) from None


def file_budget() -> int:
    """Return the number of files that caches may hold open, from the process's current limit (RLIMIT_NOFILE)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(max(soft // _SHARE, _LEAST), _MOST)
