"""Response heads as bytes, with the delimitation of their bodies. No field can inject another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from trickleweb.errors import UnsafeHeader
from trickleweb.headers import Headers, Pair, format_date
from trickleweb.messages import RequestHead

# RFC 9110 15.3 to 15.6; 2295, 2324, 2774, 3229, 4918, 5842, 6585, 7725, 8470.
_PHRASES = {
    200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
    205: "Reset Content", 206: "Partial Content", 207: "Multi-Status", 208: "Already Reported", 226: "IM Used",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
    305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
    409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large",
    414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
    418: "I'm a teapot", 421: "Misdirected Request", 422: "Unprocessable Content", 423: "Locked",
    424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required", 428: "Precondition Required",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout", 505: "HTTP Version Not Supported", 506: "Variant Also Negotiates",
    507: "Insufficient Storage", 508: "Loop Detected", 510: "Not Extended", 511: "Network Authentication Required",
}  # fmt: skip
CRLF = b"\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
SERVER = "trickleweb"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
# The framing is the server's: other values of these would split or join messages.
_OURS = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"}
)


class BodyDelivery(NamedTuple):
    """The delimitation of one response."""

    content_length: int | None  # None: no Content-Length
    chunked: bool  # the body is sent in chunks
    has_body: bool  # False: nothing follows the head
    keep_alive: bool  # the connection persists
    http10: bool = False  # a persistent connection needs Connection: keep-alive


def decide_delivery(request: RequestHead, status: int, body_bytes: int | None, *, close: bool = False) -> BodyDelivery:
    """Return the delimitation for a body of `body_bytes` (None: unknown yet); `close` ends the connection.

    204 and 304 have no body and no length, 205 an empty one, HEAD the length of GET's (RFC 9110 8.6, 9.3.2, 15.3.6). A
    body of unknown length is sent in chunks, to an HTTP/1.0 client until the connection closes (RFC 9112 6.3).
    """
    http10 = request.version < (1, 1)
    keep_alive = request.keep_alive and not close
    if status in (204, 304):
        return BodyDelivery(None, chunked=False, has_body=False, keep_alive=keep_alive, http10=http10)
    length = 0 if status == 205 else body_bytes
    has_body = request.method != "HEAD" and length != 0
    unbounded = has_body and length is None
    return BodyDelivery(
        length,
        chunked=unbounded and not http10,
        has_body=has_body,
        keep_alive=keep_alive and not (unbounded and http10),
        http10=http10,
    )


def phrase(status: int) -> str:
    """Return the reason phrase of a status, "" for an unknown one; the same on every replica."""
    return _PHRASES.get(status, "")


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
    lines += [render_field(name, value) for name, value in sent_fields(headers, delivery, date_seconds)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def sent_fields(headers: Headers, delivery: BodyDelivery, date_seconds: int | None = None) -> list[Pair]:
    """Return the fields of a response that leave: those of `headers` that frame nothing, then Date and Server if there
    is a time, then the framing.
    """
    kept = [pair for pair in headers.pairs if pair[0].lower() not in _OURS]
    given = {name.lower() for name, _ in headers.pairs}
    dated = () if date_seconds is None else (("Date", format_date(date_seconds)), ("Server", SERVER))
    return [*kept, *(pair for pair in dated if pair[0].lower() not in given), *_framing_fields(delivery)]


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


def _framing_fields(delivery: BodyDelivery) -> Iterator[Pair]:
    if delivery.chunked:
        yield "Transfer-Encoding", "chunked"
    elif delivery.content_length is not None:
        yield "Content-Length", str(delivery.content_length)
    if not delivery.keep_alive:
        yield "Connection", "close"
    elif delivery.http10:
        yield "Connection", "keep-alive"
