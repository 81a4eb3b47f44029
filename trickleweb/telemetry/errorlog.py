"""Errors of a program with their requests: as text with the traceback, or as JSON."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable

from trickles.printable import one_line
from trickleweb.telemetry.wrapped import current_request, request_id

PER_SECOND = 20  # clients can cause errors, but must not flood the log
_MOST_CHARS = 16_384  # the end of a traceback


class ErrorLog:
    """Writes exceptions of a program; `count` includes those over the rate limit."""

    def __init__(
        self, write: Callable[[str], None], *, as_json: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self.count = 0
        self._write = write
        self._as_json = as_json
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def __call__(self, error: Exception) -> None:
        self.count += 1
        second = int(self._clock())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= PER_SECOND:
            self._left_out += 1
            return
        self._lines += 1
        fields = _fields(error, second)
        if self._left_out:
            fields["left_out"], self._left_out = self._left_out, 0
        self._write(json.dumps(fields, separators=(",", ":")) if self._as_json else _text(fields))


class ErrorHandler(logging.Handler):
    """Sends log records with an exception to an `ErrorLog`; others are handled as by default."""

    def __init__(self, errors: ErrorLog) -> None:
        super().__init__()
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, Exception):
            self._errors(error)
        elif logging.lastResort is not None and record.levelno >= logging.lastResort.level:
            logging.lastResort.handle(record)


def _fields(error: Exception, second: int) -> dict[str, object]:
    request = current_request()
    trace = "".join(traceback.format_exception(error))[-_MOST_CHARS:]
    fields: dict[str, object] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)),
        "error": type(error).__name__,
        "message": str(error),
        "traceback": trace,
    }
    if request is not None:
        fields |= {"method": request.method, "target": request.head.target, "request_id": request_id(request)}
    return fields


def _text(fields: dict[str, object]) -> str:
    """Return a line about the error and its request, then the traceback; no part of it can forge a line."""
    about = f"{fields['method']} {fields['target']} ({fields['request_id']}): " if "method" in fields else ""
    more = f" ({fields['left_out']} more were left out)" if "left_out" in fields else ""
    first = f"{fields['time']} {about}{fields['error']}: {fields['message']}{more}"
    lines = str(fields["traceback"]).rstrip().splitlines()
    return "\n".join([one_line(first), *(f"  {one_line(line)}" for line in lines)])
