"""Request heads, and the framing of their bodies, as pure functions of bytes: h11 tokenises, checks here are stricter.

Sizes, bytes, line ends and the request line are checked before a head is tokenised; an incomplete head is held to them
too, so that nonsense is refused as soon as possible. Every framing on which two parsers could differ is refused (RFC
9112 6.3). Only a bounded memo of small heads lives between calls, which may be dropped at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import h11

from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.http1.refusals import refused
from trickleweb.http1.render import CRLF
from trickleweb.http1.target import check_authority, encoded_target, parse_target_untrusted
from trickleweb.limits import DEFAULT_LIMITS, Limits
from trickleweb.messages import Chunked, Framing, Length, NeedMore, NoBody, RequestHead

_LINE_BYTES = bytes([9, 10, 13, *range(0x20, 0x7F), *range(0x80, 0x100)])
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME = re.compile(_TOKEN)
_TOKEN_START = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") [\x21-\x7e\x80-\xff]+ HTTP/(\d)\.(\d)")
_LENGTH_VALUE = re.compile(rb"[0-9]{1,18}")  # below 2**63
_HEAD_END = CRLF * 2
_MAX_MEMO_HEAD_BYTES = 2048  # with 1,024 of them the memo stays under some 10 MB
_CODING = b"transfer-encoding:"
_NEED_MORE = NeedMore()


def max_head_bytes(limits: Limits) -> int:
    """Return the longest valid head, with one empty line before it and one after."""
    return limits.max_request_line_bytes + limits.max_header_bytes + 4 * len(CRLF)


def parse_framing_untrusted(lowered: bytes, version: tuple[int, int]) -> Framing:
    """Return the framing of the body after a complete head in lower case, its bytes checked.

    Raise HTTPError 400 for more than one length, a length with a coding, or a coding from an HTTP/1.0 client; 501 for
    an unknown coding.
    """
    lengths, codings = _field_values(lowered, b"content-length"), _field_values(lowered, b"transfer-encoding")
    if codings:
        return _coded(codings, with_length=bool(lengths), version=version)
    return _sized(lengths) if lengths else NoBody()


def _coded(codings: list[bytes], *, with_length: bool, version: tuple[int, int]) -> Framing:
    if with_length:
        raise refused(400, "both Transfer-Encoding and Content-Length")
    if version < (1, 1):
        raise refused(400, "Transfer-Encoding in HTTP/1.0")
    listed = [name.strip(b" \t") for value in codings for name in value.split(b",")]  # several lines are one list
    names = [name for name in listed if name]  # empty elements are ignored (RFC 9110 5.6.1)
    if not names or b"chunked" in names[:-1]:
        raise refused(400, "chunked must be the last transfer coding, once")
    if names != [b"chunked"]:
        raise refused(501, "the only transfer coding here is chunked")
    return Chunked()


def _sized(lengths: list[bytes]) -> Framing:
    if len(lengths) > 1:
        raise refused(400, "more than one Content-Length")
    if not _LENGTH_VALUE.fullmatch(lengths[0]):
        raise refused(400, "invalid Content-Length")
    byte_count = int(lengths[0])
    return Length(byte_count) if byte_count else NoBody()


def parse_head_untrusted(data: bytes, limits: Limits = DEFAULT_LIMITS) -> RequestHead | NeedMore:
    """Return the request head at the start of `data`, or `NeedMore` if it is incomplete and valid so far.

    `data` is the connection's input from the request's first byte and may go on beyond the head. Raise HTTPError with
    `close` set, and nothing else: 301, 308, 400, 414, 417, 431, 501 or 505 (RFC 9112, RFC 9110).
    """
    end = data.find(_HEAD_END, 0, max_head_bytes(limits))
    if end < 0:
        return _check_incomplete(data, limits)
    head = data[: end + len(_HEAD_END)]
    return _parse_memoised(head, limits) if len(head) <= _MAX_MEMO_HEAD_BYTES else _parse(head, limits)


def check_head(
    method: bytes, target: bytes, minor: int, fields: Iterable[tuple[bytes, bytes]], limits: Limits = DEFAULT_LIMITS
) -> RequestHead:
    """Return the head of an HTTP/1.`minor` request that another server has parsed; raise as `parse_head_untrusted`."""
    given = list(fields)
    if any(not _NAME.fullmatch(name) for name, _ in given):
        raise refused(400, "malformed header field")
    line = b"%b %b HTTP/1.%d" % (method, target, minor)
    lines = [line, *(b"%b: %b" % field for field in given)]
    if any(b"\r" in each or b"\n" in each for each in lines):
        raise refused(400, "control byte in the head")
    head = parse_head_untrusted(b"".join([*(each + CRLF for each in lines), CRLF]), limits)
    if isinstance(head, NeedMore):
        raise refused(400, "malformed request head")
    return head


def drop_caches() -> None:
    """Forget every memoised head, which costs only time."""
    _parse_memoised.cache_clear()


def _check_incomplete(data: bytes, limits: Limits) -> NeedMore:
    _check_head(_without_empty_line(data[: max_head_bytes(limits)]), limits)
    return _NEED_MORE


def _without_empty_line(data: bytes) -> bytes:
    """Return the input without one leading empty line, which old clients send after a body (RFC 9112 2.2)."""
    return data[len(CRLF) :] if data.startswith(CRLF) else data


def _parse(head: bytes, limits: Limits) -> RequestHead:
    text = _without_empty_line(head)
    _check_head(text, limits)
    line = text[: text.find(CRLF)]
    version = _parse_version(line)
    _check_target(line)
    lowered = text.lower()
    framing = parse_framing_untrusted(lowered, version)
    host = _host(lowered, version)
    tokens = _tokenise(_with_one_coding(text) if isinstance(framing, Chunked) else text)
    target = parse_target_untrusted(tokens.method, tokens.target)
    if tokens.method == "CONNECT" if limits.methods is None else tokens.method not in limits.methods:
        raise refused(501, "unknown method")
    expects = _expects_continue(tokens.headers, version)
    return RequestHead(
        method=tokens.method,
        target=tokens.target,
        path=target.path,
        raw_path=target.raw_path,
        query=target.query,
        version=version,
        headers=tokens.headers,
        host=host if target.authority is None else target.authority,
        framing=framing,
        expect_continue=expects and not isinstance(framing, NoBody),
        keep_alive=_keep_alive(tokens.headers, version),
        head_bytes=len(head),
        scheme=target.scheme,
    )


_parse_memoised = lru_cache(maxsize=1024)(_parse)


def _check_head(head: bytes, limits: Limits) -> None:
    """Refuse a head, whole or cut anywhere, for its sizes, bytes or request line, with which it starts."""
    line_end = head.find(CRLF)
    _check_sizes(head, line_end, limits)
    _check_bytes(head)
    if line_end >= 0:
        _parse_version(head[:line_end])


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


def _parse_version(line: bytes) -> tuple[int, int]:
    """Return the version of a valid request line; raise 400 for another line, 505 for an unsupported version."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise refused(400, "malformed request line")
    if match[2] != b"1":
        raise refused(505, "this server speaks HTTP/1.1")
    return 1, int(match[3])


def _field_values(lowered: bytes, name: bytes) -> list[bytes]:
    """Return all values of the field `name` in a checked head, both in lower case, stripped of blanks."""
    start = CRLF + name + b":"
    if start not in lowered:
        return []
    return [rest.partition(CRLF)[0].strip(b" \t") for rest in lowered.split(start)[1:]]


def _with_one_coding(text: bytes) -> bytes:
    """Return a chunked request's head with its coding on one line: h11 rejects empty elements."""
    lines = text.split(CRLF)
    codings = [line for line in lines if line.lower().startswith(_CODING)]
    if len(codings) == 1 and b"," not in codings[0]:
        return text
    return CRLF.join([lines[0], _CODING + b" chunked", *(line for line in lines[1:] if line not in codings)])


@dataclass(frozen=True, slots=True)
class _Tokens:
    method: str
    target: str
    headers: Headers


def _tokenise(text: bytes) -> _Tokens:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=len(text))
    try:
        connection.receive_data(text)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        raise refused(400, "malformed header field") from None
    if not isinstance(event, h11.Request):  # h11 waits, or sees the end: impossible for a whole head
        raise refused(400, "malformed request head")
    pairs = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers)
    return _Tokens(event.method.decode("ascii"), event.target.decode("ascii"), Headers(pairs))


def _check_target(line: bytes) -> None:
    """Refuse an invalid target: 301 or 308 to its encoded form where it has one, else 400."""
    method, target, _ = line.split(b" ")
    if not _is_utf8(target):
        raise refused(400, "the request target is neither ASCII nor UTF-8")
    name = method.decode("ascii")
    encoded = encoded_target(name, target.decode("latin-1"))
    if encoded is not None:
        status = 301 if name in {"GET", "HEAD"} else 308  # 308 keeps the method
        raise HTTPError(status, "The target must be percent-encoded.", close=True, headers=(("Location", encoded),))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _host(lowered: bytes, version: tuple[int, int]) -> str:
    """Return the one valid Host (RFC 9112 3.2); an http URL's is never empty (RFC 9110 4.2.1)."""
    hosts = _field_values(lowered, b"host")
    if len(hosts) > 1:
        raise refused(400, "more than one Host")
    if not any(hosts):
        if version >= (1, 1):
            raise refused(400, "no Host")
        return ""
    return check_authority(hosts[0].decode("latin-1"))


def _expects_continue(headers: Headers, version: tuple[int, int]) -> bool:
    """Return whether the client waits for 100 (RFC 9110 10.1.1); HTTP/1.0's is ignored, an unknown one refused."""
    if version < (1, 1):
        return False
    expectations = headers.tokens("expect")
    if any(expectation != "100-continue" for expectation in expectations):
        raise refused(417, "the only expectation here is 100-continue")
    return bool(expectations)


def _keep_alive(headers: Headers, version: tuple[int, int]) -> bool:
    options = headers.tokens("connection")
    if "close" in options:
        return False
    return version >= (1, 1) or "keep-alive" in options
