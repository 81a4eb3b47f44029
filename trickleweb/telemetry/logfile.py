"""A file of lines written by several processes, which may be rotated at any time."""

from __future__ import annotations

import os
import select
import stat
import sys
from contextlib import suppress
from pathlib import Path

from trickles.drivers.bookkeeping import is_ready
from trickles.drivers.ownership import is_at

STANDARD_OUTPUT = "-"


class LogFile:
    """Appends lines, each in one write, so that those of several replicas do not mix. Never raises or waits.

    `lost` counts lines that could not be written: the disk is full, or the reader of a pipe is slow. Call `look_again`
    periodically to reopen a file that log rotation has moved.
    """

    def __init__(self, path: str) -> None:
        self.lost = 0
        self._path = None if path == STANDARD_OUTPUT else Path(path)
        self._descriptor = sys.stdout.fileno() if self._path is None else -1
        if self._path is not None:
            self._descriptor = _opened(self._path)  # raises OSError for a bad path

    def write(self, line: str) -> None:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            if not _takes(self._descriptor, len(data)) or os.write(self._descriptor, data) < len(data):
                self.lost += 1
        except OSError:
            self.lost += 1

    def look_again(self) -> None:
        """Write to the file that has the name now, created if missing."""
        if self._path is None:
            return
        with suppress(OSError):
            if not is_at(self._path, self._descriptor):
                fresh = _opened(self._path)
                os.close(self._descriptor)
                self._descriptor = fresh

    def close(self) -> None:
        if self._path is not None:
            os.close(self._descriptor)


def _takes(descriptor: int, size_bytes: int) -> bool:
    """Return whether a write of that size does not wait: files never do, a ready pipe takes PIPE_BUF bytes."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return True
    return size_bytes <= select.PIPE_BUF and is_ready(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640)
