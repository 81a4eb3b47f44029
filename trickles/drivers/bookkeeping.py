"""Writes of logs, statistics and pid files, none of which may end or delay a process that serves.

A full disk, a removed folder, a pipe whose reader is gone or slow must not affect a server. So these writes never raise
and never wait. A file is written again until it is right (`KeptFile`), and its folder is made again when it is missing.
Text for a standard stream waits for a reader in a bounded buffer; writes that do not fit are dropped whole (`Outlet`).
Both count in `failures`, which is part of a process's statistics.

At the start a caller wants to see errors: there it opens the file itself, and lets OSError pass.

An `Outlet` calls poll(2) before each write of at most PIPE_BUF bytes, which a ready pipe takes without waiting.
O_NONBLOCK would affect all processes that share the open file, such as the user's shell.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trickles.drivers.ownership import check_directory, write_whole
from trickles.errors import UnsafePlace

MOST_WAITING_BYTES = 1 << 20  # of text for a reader that is slow: some ten thousand lines
LATER = frozenset(  # errors that may pass
    {errno.EAGAIN, errno.EINTR, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE}
    | {errno.ENOMEM, errno.ENOBUFS, errno.ENOENT, errno.ESTALE}
)

failures: Counter[str] = Counter()  # of this process: `file`, `stream`, and names of chores and work


def unreported(_text: str) -> None:
    """Ignore a report."""


def write_file(path: Path, text: str) -> None:
    """Replace a file in one step, in a folder that is made when it is missing; OSError leaves no temporary file.

    UnsafePlace for a folder that others may write.
    """
    try:
        check_directory(path.parent)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_directory(path.parent)
    write_whole(path, text)


class KeptFile:
    """A file that should hold a text; `look`, called now and then, repairs it.

    A file that another process put in its place stays. A failure is reported once, until a write succeeds.
    """

    def __init__(self, path: Path, report: Callable[[str], None] = unreported) -> None:
        self._path = path
        self._report = report
        self._wanted: str | None = None
        self._written: str | None = None
        self._failing = False

    def put(self, text: str) -> None:
        self._wanted = text
        self.look()

    def look(self) -> None:
        """Write the file where a write has failed, or it is missing."""
        if self._wanted is None or (self._wanted == self._written and os.path.lexists(self._path)):
            return
        try:
            write_file(self._path, self._wanted)
        except (OSError, UnsafePlace) as error:
            failures["file"] += 1
            known, self._failing = self._failing, True  # before the report, which may call this again
            if not known:
                self._report(f"cannot write {self._path}, and will try again: {getattr(error, 'strerror', error)}")
        else:
            self._written, self._failing = self._wanted, False

    def leave(self) -> None:
        self._wanted = self._written = None

    def drop(self) -> None:
        self.leave()
        remove_file(self._path)


def remove_file(path: Path) -> None:
    """Remove a file that may be missing; failures are counted."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        failures["file"] += 1


class Outlet(io.RawIOBase):
    """A descriptor for text; its writes never raise and never wait."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting = bytearray()
        self._turn = threading.RLock()  # reentrant: a signal's handler may write too

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        with suppress(OSError):
            return os.isatty(self._descriptor)
        return False

    def write(self, data: object) -> int:
        """Write the bytes now or when there is room; dropped ones count as written."""
        given = bytes(data)  # type: ignore[call-overload]  # anything with a buffer
        with self._turn:
            if len(self._waiting) + len(given) > MOST_WAITING_BYTES:
                failures["stream"] += 1
            else:
                self._waiting += given
            self._pass_on()
        return len(given)

    def flush(self) -> None:
        """Write waiting bytes, as far as there is room."""
        with self._turn:
            self._pass_on()

    def _pass_on(self) -> None:
        try:
            while self._waiting and is_ready(self._descriptor):
                del self._waiting[: os.write(self._descriptor, self._waiting[: select.PIPE_BUF])]
        except OSError as error:
            failures["stream"] += 1
            if error.errno not in LATER:
                self._waiting.clear()


def is_ready(descriptor: int) -> bool:
    """Return True when a write of up to PIPE_BUF bytes will not wait; it may fail."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


def hold_standard_descriptors() -> None:
    """Open closed ones of the descriptors 0 to 2 on /dev/null, lest a socket get the number, and log lines."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
    if sys.stdout is None:
        sys.stdout = _stream(1)
    if sys.stderr is None:
        sys.stderr = _stream(2)


def guard_standard_streams() -> None:
    """Let printing never raise or wait; streams that were replaced before stay as they are."""
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(2)


def flush_standard_streams() -> None:
    """Flush stdout and stderr, ignoring errors."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def _stream(descriptor: int) -> io.TextIOWrapper:
    outlet = Outlet(descriptor)
    return io.TextIOWrapper(outlet, "utf-8", "backslashreplace", line_buffering=True)  # type: ignore[arg-type]
