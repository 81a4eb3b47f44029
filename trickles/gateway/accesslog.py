"""The access log: one line for each ended connection, written without waiting for its reader."""

from __future__ import annotations

import json
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from trickles.drivers.addresses import Address, shown
from trickles.drivers.bookkeeping import is_ready
from trickles.printable import ascii_line

GATHERED_BYTES = 1 << 16  # written before the next tick
MOST_WAITING_BYTES = 1 << 20  # for a slow reader; more lines are dropped, and their count is reported
_FILE = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY


class Completion(StrEnum):
    """Ways in which a connection ends."""

    COMPLETE = "complete"  # the server ended its output, and all of it was delivered
    CLOSED = "closed"  # in order, with nothing under way
    RESET = "reset"  # by the user
    FAILED = "failed"  # with a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRecord:
    """An ended connection. Bytes are the user's; `replicas` counts packets with new content."""

    client: str
    began: float  # seconds since 1970
    duration: float  # seconds
    completion: Completion
    reason: str = ""
    target: str = ""  # the user's destination, in modes that know it
    bytes_in: int = 0
    bytes_out: int = 0
    replicas: Mapping[Address, int] = field(default_factory=dict)
    latencies_us: Mapping[Address, int] = field(default_factory=dict)  # of those that could be measured
    failovers: int = 0
    longest_stall_us: int = 0


def as_text(record: ConnectionRecord) -> str:
    """Return a line of words and NAME=VALUE, for people and for `awk`; the reason comes last, and may have blanks."""
    replicas = ",".join(f"{shown(replica)}*{packets}" for replica, packets in record.replicas.items())
    words = [
        timestamp(record.began),
        record.client,
        record.completion.value,
        f"seconds={record.duration:.3f}",
        f"in={record.bytes_in}",
        f"out={record.bytes_out}",
        f"replicas={replicas or '-'}",
        f"failovers={record.failovers}",
        f"stall_ms={record.longest_stall_us // 1000}",
    ]
    words += [f"target={record.target}"] if record.target else []
    line = " ".join([*words, *([f"reason={record.reason}"] if record.reason else [])])
    return ascii_line(line) + "\n"


def as_json(record: ConnectionRecord) -> str:
    """Return a line of JSON, ASCII throughout."""
    values = {
        "time": timestamp(record.began),
        "client": record.client,
        "completion": record.completion.value,
        "reason": record.reason or None,
        "target": record.target or None,
        "seconds": round(record.duration, 6),
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "replicas": {shown(replica): packets for replica, packets in record.replicas.items()},
        "failovers": record.failovers,
        "longest_stall_seconds": record.longest_stall_us / 1e6,
    }
    return json.dumps(values) + "\n"


def timestamp(seconds: float) -> str:
    """Return a time in UTC, to the millisecond (RFC 3339)."""
    milliseconds = int(seconds * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000)) + f".{milliseconds % 1000:03}Z"


FORMATS: dict[str, Callable[[ConnectionRecord], str]] = {"text": as_text, "json": as_json}


class ConnectionLog:
    """Lines in a file (made with mode 0640) or on stdout, one for each ended connection.

    OSError when the file cannot be opened. Later failures to write are reported once, until one succeeds.
    """

    def __init__(
        self, path: Path | None, render: Callable[[ConnectionRecord], str], *, report: Callable[[str], None]
    ) -> None:
        self._path = path
        self._render = render
        self._report = report
        self._descriptor = self._opened()
        self._waiting = bytearray()
        self._left_out = 0
        self._failing = False

    def write(self, record: ConnectionRecord) -> None:
        line = self._render(record).encode("ascii", "backslashreplace")
        if len(self._waiting) + len(line) > MOST_WAITING_BYTES:
            self._left_out += 1
            return
        self._waiting += line
        if len(self._waiting) > GATHERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the gathered lines, as far as possible without waiting."""
        try:
            while self._waiting and is_ready(self._descriptor):
                del self._waiting[: os.write(self._descriptor, self._piece())]
        except OSError as error:
            if not self._failing:
                self._report(f"access log: {error.strerror}")
            self._failing = True
            return
        self._failing = False
        if self._left_out and not self._waiting:
            self._report(f"access log: {self._left_out} lines were dropped")
            self._left_out = 0

    def reopen(self) -> None:
        """Reopen the file: the old one may have been renamed."""
        self.flush()
        try:
            fresh = self._opened()
        except OSError as error:
            self._report(f"access log: {error.strerror} (the old file stays in use)")
            return
        self._shut()
        self._descriptor = fresh

    def close(self) -> None:
        self.flush()
        self._shut()

    def _opened(self) -> int:
        return sys.stdout.fileno() if self._path is None else os.open(self._path, _FILE, 0o640)

    def _shut(self) -> None:
        if self._path is not None:
            os.close(self._descriptor)

    def _piece(self) -> bytes:
        """Return whole lines, as many as may be written at once: other processes may append to the same file."""
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode) or len(self._waiting) <= select.PIPE_BUF:
            return bytes(self._waiting)
        end = self._waiting.rfind(b"\n", 0, select.PIPE_BUF) + 1
        return bytes(self._waiting[: end or select.PIPE_BUF])
