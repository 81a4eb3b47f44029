"""Heads of requests to an HTTP proxy, parsed only as far as a proxy needs: target, end of the head, body or not.

The parser is strict (RFC 9112): two readers of a head must agree about its end, so lax syntax is refused. Responses
are not parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trickles.errors import BadPacket
from trickles.gateway.routing import Target, authority_untrusted

MOST_LINE_BYTES = 16_000  # the request line
MOST_HEAD_BYTES = 1 << 16  # the whole head; servers may allow less
REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_ABSOLUTE = re.compile(rb"http://([^/?#]*)([^#]*)", re.IGNORECASE)
_NEVER_IN_A_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_OF_THIS_HOP = frozenset({b"connection", b"keep-alive", b"te", b"upgrade", b"host"})  # RFC 9110 section 7.6.1
_OF_THE_MESSAGE = frozenset({b"content-length", b"transfer-encoding", b"host", b"expect"})
Fields = list[tuple[bytes, bytes]]


class BadHead(BadPacket):
    """A request that the proxy refuses; `status` is that of the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class ProxyHead:
    """A request's head, without the fields for the proxy alone."""

    target: Target
    size_bytes: int  # of the head as it came
    tunnel: bool = False  # CONNECT: the head is not passed on
    body: bool = False  # announced; its length is not checked here, and only the body may follow
    closes: bool = False  # the user wants no other answer on this connection
    lines: bytes = b""

    @property
    def last(self) -> bool:
        return self.body or self.closes

    def rendered(self, *, last: bool) -> bytes:
        """Return the head for the server, which answers no other request after the last one."""
        return self.lines + (b"Connection: close\r\n\r\n" if last else b"Connection: keep-alive\r\n\r\n")


def request_head_untrusted(data: bytes | bytearray) -> ProxyHead | None:
    """Parse the head at the start of `data`; None while incomplete, BadHead as soon as it is invalid."""
    end = data.find(b"\r\n\r\n", 0, MOST_HEAD_BYTES)
    head = bytes(data[:end] if end >= 0 else data[: MOST_HEAD_BYTES + 1])
    if _NEVER_IN_A_HEAD.search(head):
        raise BadHead(400, "control characters in a head")
    first, *lines = head.split(b"\r\n")
    if len(first) > MOST_LINE_BYTES:
        if b" " not in first[: MOST_LINE_BYTES + 1]:
            raise BadHead(501, "an unknown method")
        raise BadHead(414, "the request line is too long")
    if end < 0 and not lines:
        if first and not re.match(_TOKEN + rb"(?: |\r?$)", first):
            raise BadHead(400, "not an HTTP request")
        return None
    method, target, version = _request_line(first)
    if end < 0:
        if len(head) > MOST_HEAD_BYTES:
            raise BadHead(431, "the head is too long")
        return None
    fields = [_field(line) for line in lines]
    return _request(method, target, version, fields, end + 4)


class HeadBuffer:
    """A buffer of input: an incomplete head is parsed again at its end, or when it has doubled, in linear time."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._looked_bytes = 0  # when it was last found incomplete
        self._scanned_bytes = 0  # no end begins below

    def __len__(self) -> int:
        return len(self.data)

    def add(self, data: bytes) -> None:
        self.data += data

    def head(self) -> ProxyHead | None:
        """Return the head at the start without removing it; None while incomplete, BadHead for an invalid one."""
        if len(self.data) < 2 * self._looked_bytes:
            end = self.data.find(_END_OF_HEAD, self._scanned_bytes)
            self._scanned_bytes = max(len(self.data) - len(_END_OF_HEAD) + 1, 0)
            if end < 0:
                return None
        found = request_head_untrusted(self.data)
        self._looked_bytes = len(self.data) if found is None else 0
        return found

    def take(self, size_bytes: int | None = None) -> bytes:
        """Remove and return so many bytes from the start, or all."""
        taken = bytes(self.data[:size_bytes])
        del self.data[:size_bytes]
        self._looked_bytes = self._scanned_bytes = 0
        return taken


def error_answer(status: int, why: str) -> bytes:
    """Return a complete response with that reason; the connection ends with it."""
    body = f"{why}\n".encode()
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    found = _REQUEST_LINE.fullmatch(line)
    if not found:
        raise BadHead(400, "not an HTTP request")
    if found[3] != b"1":
        raise BadHead(505, "only HTTP/1")
    return found[1], found[2], b"HTTP/1." + (b"0" if found[4] == b"0" else b"1")


def _field(line: bytes) -> tuple[bytes, bytes]:
    found = _FIELD_LINE.fullmatch(line)
    if not found:
        raise BadHead(400, "not a field line")
    return found[1], found[2]


def _request(method: bytes, target: bytes, version: bytes, fields: Fields, size_bytes: int) -> ProxyHead:
    if method == b"CONNECT":
        return ProxyHead(_target(target, None), size_bytes, tunnel=True)
    found = _ABSOLUTE.fullmatch(target)
    if not found:
        raise BadHead(400, "this is a proxy: it takes http://HOST/... and CONNECT HOST:PORT")
    path = found[2] if found[2].startswith(b"/") else b"/" + found[2]
    if method == b"OPTIONS" and not found[2]:
        path = b"*"
    named = _nominated(fields)
    closes = b"close" in named or (version == b"HTTP/1.0" and b"keep-alive" not in named)
    lines = [method + b" " + path + b" " + version, b"Host: " + found[1]]
    lines += [name + b": " + value for name, value in fields if not _is_of_this_hop(name.lower(), named)]
    lines += [b"Via: " + version[5:] + b" trickles", b""]
    body = _has_body(version, fields)
    return ProxyHead(_target(found[1], 80), size_bytes, body=body, closes=closes, lines=b"\r\n".join(lines))


def _target(authority: bytes, port: int | None) -> Target:
    try:
        return authority_untrusted(authority, port)
    except BadPacket as error:
        raise BadHead(400, str(error)) from None


def _values(fields: Fields, wanted: bytes) -> list[bytes]:
    return [value for name, value in fields if name.lower() == wanted]


def _nominated(fields: Fields) -> frozenset[bytes]:
    """Return the names in the Connection fields; fields of the message must not be among them."""
    values = _values(fields, b"connection") + _values(fields, b"proxy-connection")
    named = frozenset(each.strip(b" \t").lower() for value in values for each in value.split(b","))
    if named & _OF_THE_MESSAGE:
        raise BadHead(400, "Connection names a field of the message")
    return named


def _is_of_this_hop(name: bytes, named: frozenset[bytes]) -> bool:
    return name in _OF_THIS_HOP or name in named or name.startswith(b"proxy-")


def _has_body(version: bytes, fields: Fields) -> bool:
    lengths, codings = _values(fields, b"content-length"), _values(fields, b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise BadHead(400, "more than one length")
    if lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise BadHead(400, "bad Content-Length")
    if codings and (codings[0].lower() != b"chunked" or version != b"HTTP/1.1"):
        raise BadHead(400, "bad Transfer-Encoding")
    return bool(lengths or codings)
