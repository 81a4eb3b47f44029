"""The few system calls the static files need: stamps, opening below a root, reading, and looking into a folder."""

# ruff: noqa: PTH115, PTH116
# Plain strings and descriptors: a Path would cost more than the system calls it wraps.
from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice

from trickleweb.files.contents import Stamp
from trickleweb.files.errors import NoSuchFile, Unreadable
from trickleweb.files.listing import Entry
from trickleweb.files.paths import is_listed

_SECOND_NS = 1_000_000_000
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a FIFO or terminal must not hold us up
_BLOCK_BYTES = 1 << 20
_DESCRIPTORS = "/proc/self/fd"  # links to what is open, on Linux


def stamp_of(path_or_descriptor: str | int) -> Stamp:
    """The stamp of a regular file as it is now; `NoSuchFile` for anything else."""
    stamp, is_folder = look_at(path_or_descriptor)
    if is_folder:
        raise NoSuchFile("a folder")
    return stamp


def look_at(path_or_descriptor: str | int) -> tuple[Stamp, bool]:
    """The stamp of a regular file or a folder as it is now, and whether it is a folder; links are followed."""
    try:
        found = os.stat(path_or_descriptor)
    except OSError as exc:
        raise _translated(exc) from None
    except ValueError as exc:  # a NUL, or text that no file name can be
        raise NoSuchFile(str(exc)) from None
    is_folder = stat.S_ISDIR(found.st_mode)
    if not is_folder and not stat.S_ISREG(found.st_mode):
        raise NoSuchFile("neither a file nor a folder")
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns), is_folder


def exists(path: str) -> bool:
    """Whether anything is there; cheaper than `stamp_of` where the answer is mostly no."""
    return os.access(path, os.F_OK)


def open_below(root: str, path: str) -> int:
    """Open `path`, which must lie below `root` with every link followed, for reading; the caller closes it.

    What was opened is what is checked, so no link can be changed in between. `NoSuchFile` if it lies elsewhere.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError as exc:
        raise _translated(exc) from None
    except ValueError as exc:
        raise NoSuchFile(str(exc)) from None
    try:
        if not _is_below(os.path.realpath(root), real_path(descriptor, path)):
            raise NoSuchFile("outside the root")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def real_path(descriptor: int, path: str) -> str:
    """Where an open file lies, every link followed; `path` is how it was opened."""
    try:
        return os.readlink(f"{_DESCRIPTORS}/{descriptor}")
    except OSError:  # no /proc: resolve the path, and see that it still leads to the same file
        real = os.path.realpath(path)
        if look_at(real)[0][:2] != look_at(descriptor)[0][:2]:
            raise NoSuchFile("moved while it was opened") from None
        return real


def _is_below(root: str, path: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def read_range(descriptor: int, start: int, stop: int) -> bytes:
    """The bytes [start, stop) of an open file; fewer where it has become shorter."""
    return os.pread(descriptor, stop - start, start)


def blocks(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    """The bytes [start, stop) of an open file in blocks of 1 MiB; fewer where it has become shorter."""
    while start < stop and (block := os.pread(descriptor, min(_BLOCK_BYTES, stop - start), start)):
        yield block
        start += len(block)


def entries(root: str, path: str, limit: int) -> tuple[list[Entry], bool]:
    """At most `limit` files and folders of the folder at `path` below `root`, and whether that is all.

    What no request can name is left out, and so are links out of the root. `NoSuchFile` if `path` is no folder, or lies
    elsewhere.
    """
    descriptor = open_below(root, path)
    try:
        with os.scandir(descriptor) as scan:
            visible = (_entry(root, path, each) for each in scan if is_listed(each.name))
            found = list(islice(filter(None, visible), limit + 1))
    except OSError as exc:
        raise _translated(exc) from None
    finally:
        os.close(descriptor)
    return found[:limit], len(found) <= limit


def _entry(root: str, path: str, found: os.DirEntry[str]) -> Entry | None:
    try:
        if found.is_symlink() and not _is_below(os.path.realpath(root), os.path.realpath(f"{path}/{found.name}")):
            return None
        status = found.stat()
    except OSError:  # a link to nowhere, or gone since
        return None
    if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        return None
    is_folder = stat.S_ISDIR(status.st_mode)
    return Entry(found.name, is_folder, 0 if is_folder else status.st_size, status.st_mtime_ns // _SECOND_NS)


def _translated(exc: OSError) -> NoSuchFile | Unreadable:
    """A file that may not be read is told from one that cannot be there; everything else counts as absent."""
    return Unreadable(str(exc)) if isinstance(exc, PermissionError) else NoSuchFile(str(exc))


close = os.close
duplicate = os.dup
