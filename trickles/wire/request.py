"""Requests: the numbers that a client acknowledges, its proof, the output it wants, and the input it brings.

Layout: kind (1) | transport continuation (128) | request number (4) | sealed body | tag (16). The body is a fixed
head, then runs (first, stop, nonce), wants (offset, length), the user continuation, and input (offset, bytes).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from trickles.errors import BadPacket
from trickles.ranges import Range
from trickles.wire.kinds import Kind
from trickles.wire.transport import BLOB_BYTES

HEADER_BYTES = 1 + BLOB_BYTES + 4
TAG_BYTES = 16
MIN_REQUEST_BYTES = 200  # padded up to this, so that a refusal is never larger than its request
_FIXED = struct.Struct(">BHIIIBBHH")  # flags, mss, lo, hi, restart base, runs, wants, user continuation, input
_HEADER = struct.Struct(f">x{BLOB_BYTES}sI")
_RUN = struct.Struct(">IIQ")
_WANT = struct.Struct(">QI")
_ONE_EACH = struct.Struct(">BHIIIBBHHIIQQI")  # all of that with one run and one want
_COUNTS, _ONE_OF_EACH = slice(15, 17), b"\1\1"
_OFFSET = struct.Struct(">Q")
_plain, _ONE_EACH_BYTES = _ONE_EACH.unpack_from, _ONE_EACH.size
BODY_FIXED_BYTES = _FIXED.size
RUN_BYTES = _RUN.size
WANT_BYTES = _WANT.size
OFFSET_BYTES = _OFFSET.size
MOST_OFFSET = 1 << 62
_LEAST_BODY_BYTES = MIN_REQUEST_BYTES - HEADER_BYTES - TAG_BYTES
_new = tuple.__new__
Run = tuple[int, int, int]


class RequestBody(NamedTuple):
    """One request in clear. `lo`, `hi` are packet numbers; `runs` are (start, stop, nonce); `wants` byte ranges.

    In a restart `lo` and `hi` are the halves, the high one first, of the proof that datagrams of `datagram_bytes` pass.
    """

    flags: int
    datagram_bytes: int
    lo: int
    hi: int
    restart_base: int = 0
    runs: tuple[Run, ...] = ()
    wants: tuple[Range, ...] = ()
    user: bytes = b""
    input_offset: int = 0
    input: bytes = b""

    def encode(self) -> bytes:
        """Return the body's bytes, padded so that the whole request reaches its least size."""
        flags, size, lo, hi, base, runs, wants, user, offset, data = self
        fixed = flags, size, lo, hi, base, len(runs), len(wants), len(user), len(data)
        if len(runs) == 1 and len(wants) == 1:  # as in most requests
            start, stop = wants[0]
            body = _ONE_EACH.pack(*fixed, *runs[0], start, stop - start) + user
        else:
            lists = [_RUN.pack(*run) for run in runs] + [_WANT.pack(start, stop - start) for start, stop in wants]
            body = b"".join((_FIXED.pack(*fixed), *lists, user))
        if flags & 8:  # RequestFlag.INPUT, as a number: this line is hot
            body += _OFFSET.pack(offset) + data
        return body.ljust(_LEAST_BODY_BYTES, b"\0")


def parse_body_untrusted(body: bytes) -> RequestBody:
    """Undo `RequestBody.encode`; BadPacket for truncation, counts that do not fit, or ranges out of order."""
    try:
        if body[_COUNTS] == _ONE_OF_EACH:  # as in most requests
            flags, size, lo, hi, base, _, _, n_user, n_input, first, proved, nonce, want, length = _plain(body)
            at = _ONE_EACH_BYTES
            runs: tuple[Run, ...] = ((first, proved, nonce),)
            wants: tuple[Range, ...] = ((want, want + length),)
            if proved <= first or want > MOST_OFFSET - length:
                raise BadPacket("range out of order or beyond any stream")
        else:
            flags, size, lo, hi, base, n_runs, n_wants, n_user, n_input = _FIXED.unpack_from(body)
            at, runs, wants = _lists_untrusted(body, n_runs, n_wants)
            proved = runs[-1][1] if runs else -1
        data_at, offset = at + n_user, 0
        user = body[at:data_at]
        if flags & 8:  # RequestFlag.INPUT, as a number: this line is hot
            (offset,) = _OFFSET.unpack_from(body, data_at)
            data_at += OFFSET_BYTES
    except struct.error:
        raise BadPacket("truncated request body") from None
    end = data_at + n_input
    if end > len(body) or (n_input and not flags & 8) or offset + n_input > MOST_OFFSET:
        raise BadPacket("truncated request body, or input without its flag or beyond any stream")
    if (lo > hi or (hi > lo and hi > proved)) and not flags & 1:  # RequestFlag.RESTART: there they are a proof of size
        raise BadPacket("acknowledges numbers beyond its proof")
    fields = flags, size, lo, hi, base, runs, wants, user, offset, body[data_at:end]
    return _new(RequestBody, fields)  # faster than the class: this runs for every request


def _lists_untrusted(body: bytes, n_runs: int, n_wants: int) -> tuple[int, tuple[Run, ...], tuple[Range, ...]]:
    """Return the offset after the lists, the runs and the wants; BadPacket when cut short or out of order."""
    middle = BODY_FIXED_BYTES + n_runs * RUN_BYTES
    end = middle + n_wants * WANT_BYTES
    if end > len(body):
        raise BadPacket("truncated request body")
    runs = tuple(_RUN.iter_unpack(body[BODY_FIXED_BYTES:middle]))
    wants = tuple([(start, start + length) for start, length in _WANT.iter_unpack(body[middle:end])])
    last = -1
    for start, stop, _ in runs:
        if start <= last or stop <= start:
            raise BadPacket("runs out of order")
        last = stop
    if wants and max([stop for _, stop in wants]) > MOST_OFFSET:
        raise BadPacket("offset beyond any stream")
    return end, runs, wants


def split_untrusted(datagram: bytes) -> tuple[bytes, bytes, int]:
    """Split a request or ping into header (all that is in clear), transport continuation and request number."""
    if len(datagram) < MIN_REQUEST_BYTES:
        raise BadPacket("too short for a request")
    blob, number = _HEADER.unpack_from(datagram)
    return datagram[:HEADER_BYTES], blob, number


def request_header(kind: Kind, blob: bytes, number: int) -> bytes:
    """Return the clear part of a request or ping, which is also its associated data."""
    return bytes((kind,)) + blob + number.to_bytes(4, "big")
