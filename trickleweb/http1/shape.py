"""Checks of a head before it is tokenised: sizes, bytes, line ends, the request line.

All of them hold for an incomplete head too, so that nonsense is refused as soon as possible.
"""

from __future__ import annotations

import re

from trickleweb.errors import HTTPError
from trickleweb.limits import Limits

CRLF = b"\r\n"
_LINE_BYTES = bytes([9, 10, 13, *range(0x20, 0x7F), *range(0x80, 0x100)])
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TOKEN_START = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") [\x21-\x7e\x80-\xff]+ HTTP/(\d)\.(\d)")


def refused(status: int, reason: str) -> HTTPError:
    """Return an error that ends the connection: after a bad head no later byte can be trusted."""
    return HTTPError(status, reason, close=True)


def max_head_bytes(limits: Limits) -> int:
    """Return the longest valid head, with one empty line before it and one after."""
    return limits.max_request_line_bytes + limits.max_header_bytes + 4 * len(CRLF)


def field_values(lowered: bytes, name: bytes) -> list[bytes]:
    """Return all values of the field `name` in a checked head, both in lower case, stripped of blanks."""
    start = CRLF + name + b":"
    if start not in lowered:
        return []
    return [rest.partition(CRLF)[0].strip(b" \t") for rest in lowered.split(start)[1:]]


def check_head(head: bytes, limits: Limits) -> None:
    """Refuse a head, whole or cut anywhere, for its sizes, bytes or request line, with which it starts."""
    line_end = head.find(CRLF)
    _check_sizes(head, line_end, limits)
    _check_bytes(head)
    if line_end >= 0:
        parse_version(head[:line_end])


def parse_version(line: bytes) -> tuple[int, int]:
    """Return the version of a valid request line; raise 400 for another line, 505 for an unsupported version."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise refused(400, "malformed request line")
    if match[2] != b"1":
        raise refused(505, "this server speaks HTTP/1.1")
    return 1, int(match[3])


def _check_sizes(head: bytes, line_end: int, limits: Limits) -> None:
    line_bytes = line_end if line_end >= 0 else len(head)
    if line_bytes > limits.max_request_line_bytes:
        if _TOKEN_START.match(head).end() > limits.max_request_line_bytes:  # type: ignore[union-attr]
            raise refused(501, "the method is longer than any known one")
        raise refused(414, f"the request line is longer than {limits.max_request_line_bytes} bytes")
    if len(head) - line_bytes > limits.max_header_bytes + 2 * len(CRLF):
        raise refused(431, f"the header fields are longer than {limits.max_header_bytes} bytes")
    lines = head.count(CRLF) - head.endswith(CRLF * 2)
    if lines > limits.max_headers + 1:
        raise refused(431, f"there are more than {limits.max_headers} header fields")


def _check_bytes(head: bytes) -> None:
    """Refuse bare CR or LF (RFC 9112 2.2), control bytes (RFC 9110 5.5) and line folding (RFC 9112 5.2)."""
    if head.translate(None, _LINE_BYTES):
        raise refused(400, "control byte in the head")
    line_ends = head.count(CRLF)
    if head.count(b"\n") != line_ends:
        raise refused(400, "bare LF in the head")
    if head.count(b"\r") - head.endswith(b"\r") != line_ends:
        raise refused(400, "bare CR in the head")
    if b"\r\n " in head or b"\r\n\t" in head:
        raise refused(400, "folded header field")
