"""The access log: lines are gathered and written together, and whoever reads them never holds the gateway up."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from trickles.gateway.account import Account, as_json, as_text

FORMATS: dict[str, Callable[[Account], str]] = {"text": as_text, "json": as_json}
GATHERED_BYTES = 1 << 16  # then they are written before the next tick
MOST_WAITING_BYTES = 1 << 20  # for a reader that is slow; more is left out, and how much is told
_FILE = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY


class AccessLog:
    """One line for each connection that is over, to a file (made with mode 0640) or to stdout.

    OSError when the file cannot be opened. What cannot be written later is told to `report`, once until it can be.
    """

    def __init__(self, path: Path | None, render: Callable[[Account], str], *, report: Callable[[str], None]) -> None:
        self._path = path
        self._render = render
        self._report = report
        self._descriptor = self._opened()
        self._waiting = bytearray()
        self._left_out = 0
        self._failing = False

    def write(self, account: Account) -> None:
        """A connection is over."""
        line = self._render(account).encode("ascii", "backslashreplace")
        if len(self._waiting) + len(line) > MOST_WAITING_BYTES:
            self._left_out += 1
            return
        self._waiting += line
        if len(self._waiting) > GATHERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what has been gathered, as far as that is possible at once."""
        try:
            while self._waiting and self._takes():
                del self._waiting[: os.write(self._descriptor, self._piece())]
        except OSError as error:
            if not self._failing:
                self._report(f"access log: {error.strerror}")
            self._failing = True
            return
        self._failing = False
        if self._left_out and not self._waiting:
            self._report(f"access log: {self._left_out} lines were left out")
            self._left_out = 0

    def reopen(self) -> None:
        """Go on in the file that has the name now, for the old one may have been renamed."""
        self.flush()
        try:
            fresh = self._opened()
        except OSError as error:
            self._report(f"access log: {error.strerror} (the old file stays in use)")
            return
        self._shut()
        self._descriptor = fresh

    def close(self) -> None:
        """Write what is left, and no more."""
        self.flush()
        self._shut()

    def _opened(self) -> int:
        return sys.stdout.fileno() if self._path is None else os.open(self._path, _FILE, 0o640)

    def _shut(self) -> None:
        if self._path is not None:
            os.close(self._descriptor)

    def _takes(self) -> bool:
        """Whether a write will not block; a pipe that is ready for any takes PIPE_BUF bytes."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(0))

    def _piece(self) -> bytes:
        """Whole lines, as many as may be written at once: another process may append to the same file."""
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode) or len(self._waiting) <= select.PIPE_BUF:
            return bytes(self._waiting)
        end = self._waiting.rfind(b"\n", 0, select.PIPE_BUF) + 1
        return bytes(self._waiting[: end or select.PIPE_BUF])
