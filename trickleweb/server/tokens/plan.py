"""A response plan in few bytes, for a continuation, so that another replica resumes the body.

Layout (integers are LEB128 varints, texts are a length and bytes):

    form        1 byte: 1 the rest is as below, 2 the rest is as below, deflated (taken only where plain is too long)
    status      varint
    headers     count; each: code 0 name value | code of a name, value | code of a whole field
    pieces      count; each: 0 data | 1 content start length | 2 start length (content of the slice before)
"""

from __future__ import annotations

import zlib
from functools import lru_cache

from trickleweb.errors import UnsafeHeader, WebError
from trickleweb.headers import Headers
from trickleweb.messages import Inline, Piece, Plan, Slice

MAX_PLAN_BYTES = 500  # room in a continuation of about 700 bytes, besides the service's own fields
MAX_INFLATED_BYTES = 16_384  # no plan worth deflating is longer

_PLAIN, _DEFLATED = 1, 2
_WAY_OUT = "repeat the request to resume it"
_INLINE, _SLICE, _SAME = 0, 1, 2
_NAMES = (
    "Content-Type", "ETag", "Last-Modified", "Cache-Control", "Content-Range", "Location", "Date", "Content-Length",
    "Content-Encoding", "Vary", "Allow", "Server", "Connection", "Set-Cookie", "Content-Disposition", "Link",
)  # fmt: skip
_FIELDS = (
    ("Accept-Ranges", "bytes"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-cache"),
    ("Cache-Control", "no-store"),
    ("Cache-Control", "public, max-age=31536000, immutable"),
    ("Vary", "Accept-Encoding"),
    ("Vary", "Accept"),
    ("Content-Encoding", "br"),
    ("Content-Encoding", "zstd"),
    ("Content-Encoding", "gzip"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Type", "text/css; charset=utf-8"),
    ("Content-Type", "text/javascript; charset=utf-8"),
    ("Content-Type", "application/json; charset=utf-8"),
    ("Content-Type", "application/octet-stream"),
)
# Codes are permanent: replicas of two releases read each other's plans. New names and fields go to the ends.
_NAME_CODES = {name: code for code, name in enumerate(_NAMES, 1)}
_FIELD_CODES = {field: code for code, field in enumerate(_FIELDS, 64)}
_CODED_FIELDS = {code: field for field, code in _FIELD_CODES.items()}


class PlanTooLarge(WebError):
    """A response plan does not fit a continuation; repeat the request to resume it, or keep it in a shared store."""


def encode_plan(plan: Plan, max_bytes: int = MAX_PLAN_BYTES, *, deflate: bool = True) -> bytes:
    """Return the plan in at most `max_bytes` bytes, equal for equal plans; raise `PlanTooLarge`.

    Without `deflate` their number reveals nothing about the plan's content.
    """
    least = sum([len(piece.data) for piece in plan.pieces if isinstance(piece, Inline)])
    if least > max_bytes and (least > MAX_INFLATED_BYTES or not deflate):
        raise PlanTooLarge(f"a response plan of over {least} bytes does not fit {max_bytes}: {_WAY_OUT}")
    out = bytearray(_encoded_head(plan.status, plan.headers))
    _put_pieces(out, plan.pieces)
    if len(out) <= max_bytes:
        return bytes(out)
    if deflate and len(out) <= MAX_INFLATED_BYTES:
        packed = bytes((_DEFLATED,)) + zlib.compress(out[1:], level=9, wbits=-15)
        if len(packed) <= max_bytes:
            return packed
    raise PlanTooLarge(f"a response plan of {len(out)} bytes does not fit {max_bytes}: {_WAY_OUT}")


@lru_cache(maxsize=512)  # programs have few different heads
def _encoded_head(status: int, headers: Headers) -> bytes:
    out = bytearray((_PLAIN,))
    put_varint(out, status)
    put_varint(out, len(headers.pairs))
    for name, value in headers.pairs:
        if code := _FIELD_CODES.get((name, value)):
            out.append(code)
            continue
        code = _NAME_CODES.get(name, 0)
        out.append(code)
        if not code:
            put_text(out, _latin1(name))
        put_text(out, _latin1(value))
    return bytes(out)


def decode_plan(data: bytes) -> Plan:
    """Return the plan that `encode_plan` encoded; raise `BadPlan` for other bytes."""
    reader = FieldReader(_inflated(data))
    status = reader.varint()
    if not 100 <= status <= 999:
        raise BadPlan(f"{status} is no status")
    plan = Plan(status, Headers(_headers(reader)), _pieces(reader))
    reader.finish()
    return plan


def _inflated(data: bytes) -> bytes:
    form, rest = data[:1], data[1:]
    if form == bytes((_PLAIN,)):
        return rest
    if form != bytes((_DEFLATED,)):
        raise BadPlan("neither a plain nor a deflated plan")
    unpacker = zlib.decompressobj(wbits=-15)
    try:
        out = unpacker.decompress(rest, MAX_INFLATED_BYTES)
    except zlib.error as exc:
        raise BadPlan(str(exc)) from None
    if not unpacker.eof or unpacker.unused_data:
        raise BadPlan("a deflated plan that is truncated, too long, or followed by more")
    return out


def _latin1(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as exc:
        raise UnsafeHeader(str(exc)) from None


def _headers(reader: FieldReader) -> tuple[tuple[str, str], ...]:
    return tuple(_header(reader) for _ in range(reader.count()))


def _header(reader: FieldReader) -> tuple[str, str]:
    code = reader.varint()
    if field := _CODED_FIELDS.get(code):
        return field
    if code > len(_NAMES):
        raise BadPlan(f"no header has the code {code}")
    name = _NAMES[code - 1] if code else reader.text().decode("latin-1")
    header = (name, reader.text().decode("latin-1"))
    if header in _FIELD_CODES or (not code and name in _NAME_CODES):
        raise BadPlan("a header with a code is spelt out")
    return header


def _put_pieces(out: bytearray, pieces: tuple[Piece, ...]) -> None:
    put_varint(out, len(pieces))
    content: str | None = None
    for piece in pieces:
        if isinstance(piece, Inline):
            out.append(_INLINE)
            put_text(out, piece.data)
            continue
        out.append(_SAME if piece.content == content else _SLICE)
        if piece.content != content:
            content = piece.content
            put_text(out, content.encode("utf-8", "surrogateescape"))
        put_varint(out, piece.start)
        put_varint(out, piece.stop - piece.start)


def _pieces(reader: FieldReader) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    content: str | None = None
    for _ in range(reader.count()):
        kind = reader.varint()
        if kind == _INLINE:
            pieces.append(Inline(reader.text()))
            continue
        content = _content(reader, kind, content)
        start = reader.varint()
        pieces.append(Slice(content, start, start + reader.varint()))
    return tuple(pieces)


def _content(reader: FieldReader, kind: int, before: str | None) -> str:
    content = reader.text().decode("utf-8", "surrogateescape") if kind == _SLICE else before
    if kind not in {_SLICE, _SAME} or content is None or (kind == _SLICE and content == before):
        raise BadPlan("a piece of an unknown kind, or not in its shortest form")
    return content


_MAX_SHIFT = 63  # nine bytes: file offsets are 63-bit


class BadPlan(WebError, ValueError):
    """Bytes that are no encoded plan."""


def put_varint(out: bytearray, number: int) -> None:
    """Append `number`, 0 to 2^63 - 1, seven bits to a byte, the lowest first."""
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def put_text(out: bytearray, text: bytes) -> None:
    """Append a length and the bytes."""
    put_varint(out, len(text))
    out += text


class FieldReader:
    """Reader of encoded fields in the same order; raises `BadPlan`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def varint(self) -> int:
        """Return the next integer, in its shortest form only."""
        number = shift = 0
        while shift < _MAX_SHIFT:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if byte == 0 and shift > 7:
                    raise BadPlan("an integer not in its shortest form")
                return number
        raise BadPlan("an integer beyond 2^63")

    def count(self) -> int:
        """Return the next integer as a count of items of at least a byte each, at most the number of bytes left."""
        count = self.varint()
        if count > len(self._data) - self._at:
            raise BadPlan(f"{count} items do not fit the bytes that are left")
        return count

    def text(self) -> bytes:
        """Return the next length and that many bytes."""
        size = self.count()
        self._at += size
        return self._data[self._at - size : self._at]

    def finish(self) -> None:
        """Raise `BadPlan` if bytes are left."""
        if self._at != len(self._data):
            raise BadPlan("more bytes than a plan has")

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise BadPlan("a truncated plan")
        self._at += 1
        return self._data[self._at - 1]
