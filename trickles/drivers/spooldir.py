"""The spool as a directory that the replicas of one machine share: one sparse file for each connection.

The connection `ab12...` has the file `ab/12...`. Replicas write the same bytes at the same offsets, so nothing needs a
lock. What is swept away by age leaves a mark (a dangling link, which cannot be opened) for a week: without it a client
that comes back late would find zeros where its first bytes were.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trickles.drivers.ownership import PRIVATE, check_directory
from trickles.errors import TricklesError, UnsafePlace
from trickles.spool import SpoolFull
from trickles.wire.transport import CONNECTION_BYTES

MOST_BYTES = 1 << 30  # one connection's input
MOST_TOTAL_BYTES = 8 << 30  # all that is stored
LEAST_FILE_BYTES = 4096  # what the smallest file takes from the total
MOST_AGE_SECONDS = 3600.0  # since the last write
MARK_SECONDS = 7 * 24 * 3600.0  # longer than any client is let wait
COUNT_SHARE = 20  # counting may take a twentieth of the time
_OURS = re.compile(rf"[0-9a-f]{{{2 * CONNECTION_BYTES - 2}}}")
_MARK = "swept"
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK


class SpoolError(TricklesError):
    """The directory of a spool cannot be used: missing rights, not a directory, or open to others."""


class SpoolDirectory:
    """Input of connections in files of mode 0600, in a directory of mode 0700 that is made when it is not there.

    SpoolError when the directory cannot be used or is open to others. Call `sweep` now and then, from any replica.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        most_bytes: int = MOST_BYTES,
        most_total_bytes: int = MOST_TOTAL_BYTES,
        most_age_seconds: float = MOST_AGE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = Path(path)
        self._most_bytes = most_bytes
        self._most_total_bytes = most_total_bytes
        self._most_age = most_age_seconds
        self._clock = clock
        self._total = 0
        self._count_at = 0.0
        _prepare(self._root)

    def write(self, connection: bytes, offset: int, data: bytes) -> None:
        """Keep `data` at `offset` of that connection's input; SpoolFull when it does not fit, or the disk fails."""
        if offset + len(data) > self._most_bytes or self._total_bytes() + len(data) > self._most_total_bytes:
            raise SpoolFull
        place = self._place(connection)
        try:
            try:
                _write(place, offset, data)
            except FileNotFoundError:
                place.parent.mkdir(mode=0o700, exist_ok=True)
                _write(place, offset, data)
        except OSError:
            raise SpoolFull from None
        self._total += len(data)

    def read(self, connection: bytes, start: int, stop: int) -> bytes:
        """Input bytes [start, stop); fewer when they are not (or no longer) there."""
        try:
            with _opened(self._place(connection), os.O_RDONLY) as descriptor:
                return _read(descriptor, start, stop)
        except OSError:
            return b""

    def discard(self, connection: bytes) -> None:
        """Forget that connection's input."""
        with suppress(OSError):
            self._place(connection).unlink()

    def sweep(self) -> int:
        """Remove the input of connections that have not sent any for long; returns how many. Strange files stay."""
        now, removed = self._clock(), 0
        for path, status in self._files():
            with suppress(OSError):
                if stat.S_ISLNK(status.st_mode):
                    if status.st_mtime < now - MARK_SECONDS:
                        path.unlink()
                elif status.st_mtime < now - self._most_age:
                    _replace_by_mark(path)
                    removed += 1
        return removed

    def _place(self, connection: bytes) -> Path:
        name = connection.hex()
        return self._root / name[:2] / name[2:]

    def _total_bytes(self) -> int:
        """All that is stored: counted afresh now and then, since other replicas write too."""
        now = self._clock()
        if now >= self._count_at:
            self._total = sum(max(status.st_blocks * 512, LEAST_FILE_BYTES) for _, status in self._files())
            took = max(self._clock() - now, 0.0)
            self._count_at = now + max(1.0, COUNT_SHARE * took)
        return self._total

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Our files and marks; what else lies there is none of our business."""
        for folder in _entries(self._root):
            if len(folder.name) == 2 and folder.is_dir(follow_symlinks=False):
                for entry in _entries(Path(folder.path)):
                    with suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        if _OURS.fullmatch(entry.name) and (stat.S_ISREG(status.st_mode) or _is_mark(entry)):
                            yield Path(entry.path), status


def _prepare(root: Path) -> None:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_directory(root, PRIVATE)
    except OSError as error:
        raise SpoolError(f"{root} cannot hold a spool: {error.strerror}") from None
    except UnsafePlace as error:
        raise SpoolError(str(error)) from None
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise SpoolError(f"{root} cannot hold a spool: it cannot be written")


@contextmanager
def _opened(place: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(place, flags | _OPEN, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{place} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _write(place: Path, offset: int, data: bytes) -> None:
    view = memoryview(data)
    with _opened(place, os.O_WRONLY | os.O_CREAT) as descriptor:
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written


def _read(descriptor: int, start: int, stop: int) -> bytes:
    parts = []
    while start < stop and (part := os.pread(descriptor, stop - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _is_mark(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and str(Path(entry.path).readlink()) == _MARK


def _replace_by_mark(path: Path) -> None:
    """In one step: a replica that writes meanwhile either finds the file or the mark."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileExistsError):
        fresh.symlink_to(_MARK)
    fresh.replace(path)
