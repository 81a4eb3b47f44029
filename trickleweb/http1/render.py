"""Response heads as bytes: the application's fields, then the server's. Nothing can be injected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from trickleweb.errors import UnsafeHeader
from trickleweb.headers import Headers, Pair, format_date
from trickleweb.http1.delivery import BodyDelivery
from trickleweb.http1.phrases import phrase

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
SERVER = "trickleweb"

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
# The framing is the server's: other values of these would split or join messages.
_OURS = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"}
)


@lru_cache(maxsize=512)
def render_head(status: int, headers: Headers, delivery: BodyDelivery, *, date_seconds: int) -> bytes:
    """Return a final response's head with its empty line: `headers` in order, then Date, Server and the framing.

    Fields that frame the message come from `delivery` alone; Date and Server from `headers` if they are there. Raise
    UnsafeHeader for a name or value that HTTP cannot carry (CR, LF, NUL, beyond Latin-1 ...); ValueError for a status
    outside 200 to 599. Equal arguments give equal bytes on every replica.
    """
    if not 200 <= status <= 599:
        raise ValueError(f"{status} is no final status")
    lines = [f"HTTP/1.1 {status} {phrase(status)}"]
    lines += [render_field(name, value) for name, value in headers.pairs if name.lower() not in _OURS]
    lines += [f"{name}: {value}" for name, value in _own_fields(headers, delivery, date_seconds)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def render_field(name: str, value: str) -> str:
    """Return a field line without its end; raise UnsafeHeader if it would not stay one line of one field."""
    if not _NAME.fullmatch(name):
        raise UnsafeHeader(f"header name {name!r} is not a token")
    if not _VALUE.fullmatch(value):
        raise UnsafeHeader(f"the value of {name} has a character that HTTP cannot carry")
    return f"{name}: {value}"


def chunk_start(byte_count: int) -> bytes:
    """Return the line before a chunk of `byte_count` bytes, which CRLF follows. ValueError for 0, which ends a body."""
    if byte_count <= 0:
        raise ValueError("a chunk has at least one byte")
    return b"%x\r\n" % byte_count


def _own_fields(headers: Headers, delivery: BodyDelivery, date_seconds: int) -> Iterator[Pair]:
    if "date" not in headers:
        yield "Date", format_date(date_seconds)
    if "server" not in headers:
        yield "Server", SERVER
    if delivery.chunked:
        yield "Transfer-Encoding", "chunked"
    elif delivery.content_length is not None:
        yield "Content-Length", str(delivery.content_length)
    if not delivery.keep_alive:
        yield "Connection", "close"
    elif delivery.http10:
        yield "Connection", "keep-alive"
