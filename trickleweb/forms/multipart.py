"""Multipart forms read piece by piece (RFC 7578, RFC 2046 5.1.1), with every buffer bounded.

Stricter than the grammar where no client needs it: at most one line end before the first boundary, nothing between a
boundary and its line end. A part that is itself multipart stays the opaque bytes of one file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from trickleweb.errors import HTTPError
from trickleweb.forms.disposition import PartHead, malformed, parse_part_head
from trickleweb.forms.values import DEFAULT_FORM_LIMITS, FormLimits
from trickleweb.parameters import Parametrised

_CRLF = b"\r\n"
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046 5.1.1


@dataclass(frozen=True, slots=True)
class PartBegin:
    """Begin of a part."""

    head: PartHead


@dataclass(frozen=True, slots=True)
class PartData:
    """More bytes of the current part; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """End of the current part."""


PartEvent = PartBegin | PartData | PartEnd


class _Phase(Enum):
    START = auto()  # before the first boundary
    BOUNDARY = auto()  # after one: another part, or the end
    HEADER = auto()
    DATA = auto()
    END = auto()  # the rest is dropped


def boundary_of(content_type: Parametrised) -> bytes:
    """Return the boundary of a multipart Content-Type; raise `HTTPError` 400 for none or an invalid one."""
    boundary = content_type.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise malformed("The multipart body names no boundary.")
    return boundary.encode("ascii")


class MultipartReader:
    """Parser of a body in any pieces; it returns events, and raises `HTTPError` 400 or 413 at the first bad byte.

    It holds at most one part's header lines, or a boundary's length of data.
    """

    def __init__(self, boundary: bytes, limits: FormLimits = DEFAULT_FORM_LIMITS) -> None:
        self._delimiter = _CRLF + b"--" + boundary
        self._limits = limits
        self._buffer = bytearray(_CRLF)  # so that the first boundary looks like every other
        self._phase = _Phase.START
        self._parts = 0
        self._room_bytes = 0  # left for the current part

    def feed(self, data: bytes) -> list[PartEvent]:
        """Return the events that `data` completes."""
        events: list[PartEvent] = []
        self._buffer += data
        while self._step(events):
            pass
        return events

    def finish(self) -> None:
        """Raise `HTTPError` 400 if the body ended before the form."""
        if self._phase is not _Phase.END:
            raise malformed("The multipart body is cut.")

    def _start(self) -> bool:
        """Skip the first boundary, with an optional empty line before it."""
        buffer, delimiter = self._buffer, self._delimiter
        for start in (delimiter, _CRLF + delimiter):
            if buffer.startswith(start):
                return self._go_on(len(start), _Phase.BOUNDARY)
        if not any(start.startswith(buffer) for start in (delimiter, _CRLF + delimiter)):
            raise malformed("The multipart body does not begin with its boundary.")
        return False

    def _boundary(self) -> bool:
        after = bytes(self._buffer[:2])
        if len(after) < 2:
            return False
        if after == b"--":
            return self._go_on(2, _Phase.END)
        if after != _CRLF:
            raise malformed("A boundary of the multipart body is followed by other bytes.")
        self._parts += 1
        if self._parts > self._limits.max_fields:
            raise HTTPError(413, f"There are more than {self._limits.max_fields} fields.")
        return self._go_on(2, _Phase.HEADER)

    def _header(self, events: list[PartEvent]) -> bool:
        if self._buffer.startswith(_CRLF):
            raise malformed("A part has no header.")
        most = self._limits.max_part_header_bytes
        end = self._buffer.find(_CRLF * 2, 0, most + 2 * len(_CRLF))
        if end < 0:
            if len(self._buffer) >= most + 2 * len(_CRLF):
                raise HTTPError(413, f"A part's header is longer than {most} bytes.")
            return False
        head = parse_part_head(bytes(self._buffer[:end]))
        limits = self._limits
        self._room_bytes = limits.max_field_bytes if head.filename is None else limits.max_file_bytes
        events.append(PartBegin(head))
        return self._go_on(end + 2 * len(_CRLF), _Phase.DATA)

    def _data(self, events: list[PartEvent]) -> bool:
        """Emit all bytes that cannot be the beginning of a boundary."""
        at = self._buffer.find(self._delimiter)
        stop = at if at >= 0 else len(self._buffer) - len(self._delimiter) + 1
        if stop > 0:
            self._room_bytes -= stop
            if self._room_bytes < 0:
                raise HTTPError(413, "A field or file is too long.")
            events.append(PartData(bytes(self._buffer[:stop])))
            del self._buffer[:stop]
        if at < 0:
            return False
        events.append(PartEnd())
        return self._go_on(len(self._delimiter), _Phase.BOUNDARY)

    def _go_on(self, byte_count: int, phase: _Phase) -> bool:
        del self._buffer[:byte_count]
        self._phase = phase
        return True

    def _step(self, events: list[PartEvent]) -> bool:
        """Make one step; return False when it needs more bytes."""
        match self._phase:
            case _Phase.START:
                return self._start()
            case _Phase.BOUNDARY:
                return self._boundary()
            case _Phase.HEADER:
                return self._header(events)
            case _Phase.DATA:
                return self._data(events)
            case _Phase.END:
                self._buffer.clear()
                return False
