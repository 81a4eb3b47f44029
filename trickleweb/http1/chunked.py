"""The chunked transfer coding read in pure steps that any replica can resume (RFC 9112 7.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import IntEnum

from trickleweb.http1.refusals import refused, too_large
from trickleweb.http1.render import CRLF
from trickleweb.limits import DEFAULT_LIMITS, Limits

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:" + _EXTENSION + rb")*")
_SIZE_LINE_START = re.compile(rb"(?:[0-9A-Fa-f]{1,16}(?:[ \t;][\t -~\x80-\xff]*)?\r?)?")
_FIELD_LINE = re.compile(_TOKEN + rb":[\t -~\x80-\xff]*")
_LINE_START = re.compile(rb"[\t -~\x80-\xff]*\r?")


class Phase(IntEnum):
    """The kind of the next input byte."""

    SIZE = 0
    DATA = 1
    DATA_END = 2
    TRAILER = 3
    DONE = 4


@dataclass(frozen=True, slots=True)
class ChunkedState:
    """State of the decoding; the default is the start of a body."""

    phase: Phase = Phase.SIZE
    chunk_bytes: int = 0  # left of the current chunk
    body_bytes: int = 0  # announced so far, the current chunk included
    trailer_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """Result of a step: body bytes in order, input consumed, and the next state."""

    pieces: tuple[bytes, ...]
    consumed: int
    state: ChunkedState

    @property
    def done(self) -> bool:
        """True if the body is complete and its trailers read and dropped."""
        return self.state.phase is Phase.DONE


START = ChunkedState()
_Step = tuple[bytes, int, ChunkedState]  # body bytes, the offset after them, the state there


def decode_chunked(data: bytes, state: ChunkedState = START, limits: Limits = DEFAULT_LIMITS) -> Decoded:
    """Decode the chunked body in `data`, from `state` on; unconsumed input is to be given again with more after it.

    Raise HTTPError with `close` set: 400 for malformed framing, 413 for a body over `limits.max_body_bytes`, 431 for
    trailers over `limits.max_trailer_bytes`. An incomplete line is not consumed, so the state stays small.
    """
    pieces: list[bytes] = []
    offset = 0
    while state.phase is not Phase.DONE:
        step = _STEPS[state.phase](data, offset, state, limits)
        if step is None:
            break
        piece, offset, state = step
        if piece:
            pieces.append(piece)
    return Decoded(tuple(pieces), offset, state)


def _read_size(data: bytes, offset: int, state: ChunkedState, limits: Limits) -> _Step | None:
    end = data.find(CRLF, offset, offset + limits.max_chunk_line_bytes + len(CRLF))
    if end < 0:
        _check_line_start(data[offset:], _SIZE_LINE_START, limits.max_chunk_line_bytes, "chunk size")
        return None
    match = _SIZE_LINE.fullmatch(data, offset, end)
    if match is None:
        raise refused(400, "malformed chunk size")
    size = int(match[1], 16)
    body_bytes = state.body_bytes + size
    if body_bytes > limits.max_body_bytes:
        raise too_large(limits.max_body_bytes)
    start = end + len(CRLF)
    stop = start + size
    if size and data.startswith(CRLF, stop):  # a whole chunk: one step instead of three
        return data[start:stop], stop + len(CRLF), ChunkedState(Phase.SIZE, 0, body_bytes)
    return b"", start, ChunkedState(Phase.DATA if size else Phase.TRAILER, size, body_bytes)


def _read_data(data: bytes, offset: int, state: ChunkedState, _limits: Limits) -> _Step | None:
    piece = data[offset : offset + state.chunk_bytes]
    if not piece:
        return None
    left = state.chunk_bytes - len(piece)
    return piece, offset + len(piece), ChunkedState(Phase.DATA if left else Phase.DATA_END, left, state.body_bytes)


def _read_data_end(data: bytes, offset: int, state: ChunkedState, _limits: Limits) -> _Step | None:
    found = data[offset : offset + len(CRLF)]
    if found == CRLF:
        return b"", offset + len(CRLF), ChunkedState(Phase.SIZE, 0, state.body_bytes)
    if CRLF.startswith(found):
        return None
    raise refused(400, "chunk data without its CRLF")


def _read_trailer(data: bytes, offset: int, state: ChunkedState, limits: Limits) -> _Step | None:
    room = limits.max_trailer_bytes - state.trailer_bytes
    end = data.find(CRLF, offset, offset + room + len(CRLF))
    if end == offset:
        return b"", end + len(CRLF), replace(state, phase=Phase.DONE)
    if end < 0:
        _check_line_start(data[offset:], _LINE_START, room, "trailer", status=431)
        return None
    if not _FIELD_LINE.fullmatch(data, offset, end):
        raise refused(400, "malformed trailer")
    read = end + len(CRLF) - offset
    return b"", offset + read, replace(state, trailer_bytes=state.trailer_bytes + read)


def _check_line_start(line: bytes, start: re.Pattern[bytes], room: int, what: str, *, status: int = 400) -> None:
    """Refuse an incomplete line that no further byte can complete."""
    if len(line) > room + 1:  # its CR may be there
        raise refused(status, f"the {what} line is too long")
    if not start.fullmatch(line):
        raise refused(400, f"malformed {what}")


_STEPS = {
    Phase.SIZE: _read_size,
    Phase.DATA: _read_data,
    Phase.DATA_END: _read_data_end,
    Phase.TRAILER: _read_trailer,
}
