"""Requests in few bytes, for tokens: whole, to run them again exactly as they came, or the part that a plan needs.

Layout of a whole request: number of lines (2) | public lines (a bit each, from the highest) | their size, deflated (2)
| the deflated lines | all other lines and the body, unchanged. Only lines without secrets are deflated: the length of a
token is visible on the wire, and must not reveal how similar a cookie is to another site's input. A request too long
for a token is stored in the ledger, which all replicas share, and replaced by its key. Its `ReplayContext` precedes it.

For a plan only method, target and the fields that plans depend on are packed, and all of that is deflated.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import NamedTuple

from trickleweb.errors import HTTPError, WebError
from trickleweb.http1 import parse_head_untrusted
from trickleweb.messages import NeedMore, RequestHead
from trickleweb.server.errors import BadToken
from trickleweb.server.limits import DEFAULT_SERVER_LIMITS, ServerLimits

SEED_BYTES = 16
MAX_HEAD_BYTES = 16_384  # longer heads fit a token only if crafted
_CONTEXT = struct.Struct(f">QQ{SEED_BYTES}s")
# The fields that plans depend on. Permanent: replicas of two releases read each other's tokens.
_OF_PLANS = (
    "host", "accept", "accept-encoding", "range", "if-range", "if-match", "if-none-match", "if-modified-since",
    "if-unmodified-since",
)  # fmt: skip
_PACKED, _STORED = b"t", b"k"
_COUNT, _SIZE = struct.Struct(">H"), struct.Struct(">H")
_END = b"\r\n\r\n"
# Fields without secrets. Permanent too.
_PUBLIC = (
    b"accept:", b"accept-encoding:", b"accept-language:", b"cache-control:", b"connection:", b"content-type:", b"dnt:",
    b"host:", b"pragma:", b"priority:", b"range:", b"sec-ch-ua", b"sec-fetch-", b"sec-gpc:", b"te:",
    b"upgrade-insecure-requests:", b"user-agent:",
)  # fmt: skip
_DICTIONARY = "\r\n".join(
    (
        "content-type: multipart/form-data; boundary=", "content-type: application/x-www-form-urlencoded",
        "content-type: application/json", "priority: u=0, i", "te: trailers", "pragma: no-cache",
        "cache-control: no-cache", "cache-control: max-age=0", "sec-ch-ua-mobile: ?0",
        'sec-ch-ua-platform: "Windows"', 'sec-ch-ua: "Chromium";v="1", "Google Chrome";v="1", "Not.A/Brand";v="99"',
        "sec-fetch-site: same-origin", "sec-fetch-site: none", "sec-fetch-user: ?1", "sec-fetch-mode: cors",
        "sec-fetch-mode: navigate", "sec-fetch-dest: empty", "sec-fetch-dest: document",
        "upgrade-insecure-requests: 1", "dnt: 1", "sec-gpc: 1", "range: bytes=0-", "user-agent: python-requests/2.",
        "user-agent: python-httpx/0.28.1", "user-agent: Wget/1.21", "user-agent: curl/8.",
        "user-agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "user-agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "user-agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0",
        "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0",
        "accept-language: en-US,en;q=0.9,de;q=0.8",
        "accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
        "accept: application/json", "accept: text/event-stream", "accept-encoding: gzip, deflate, br, zstd",
        "connection: keep-alive", "accept: */*", "Host: localhost:8080", "Host: 127.0.0.1:8080",
        "User-Agent: curl/8.0", "Accept: */*",
    )
).encode()  # fmt: skip


class RequestTooLong(WebError):
    """A request of more than 1 MiB cannot be run again elsewhere: its response must be short, a file or steps."""


class ReplayContext(NamedTuple):
    """The context of a request's first run, repeated in later runs.

    Microseconds since 1970, the request's offset in its connection's input, 16 secret bytes.
    """

    now: int
    offset: int
    seed: bytes

    def entropy(self) -> bytes:
        """32 bytes that follow from the seed."""
        return hashlib.sha256(b"the entropy of a request" + self.seed).digest()

    def pack(self) -> bytes:
        return _CONTEXT.pack(*self)


def page_key(context: ReplayContext) -> bytes:
    """Return the key of the page that the run in this context made."""
    return hashlib.sha256(b"the page of a request" + context.pack()).digest()


def unpack_context(data: bytes) -> tuple[ReplayContext, bytes]:
    """Return the context at the beginning of `data`, and the rest; raise `BadToken` if it is truncated."""
    try:
        context = ReplayContext(*_CONTEXT.unpack_from(data))
    except struct.error as exc:
        raise BadToken(str(exc)) from None
    return context, data[_CONTEXT.size :]


def check_length(byte_count: int, limits: ServerLimits = DEFAULT_SERVER_LIMITS) -> None:
    """Raise `RequestTooLong` for a request that can be neither packed nor stored."""
    if byte_count > limits.kept_bytes:
        raise RequestTooLong(
            f"a request of {byte_count} bytes cannot be run again on another replica: answer it briefly, with a file,"
            " or from a cursor"
        )


def packed(request: bytes, most_bytes: int = DEFAULT_SERVER_LIMITS.packed_bytes) -> bytes | None:
    """Return the request for a token, None if that takes more than `most_bytes`."""
    head, end, body = request.partition(_END)
    lines = head.split(b"\r\n")
    flags = [line.lower().startswith(_PUBLIC) for line in lines]
    public = [line for line, flag in zip(lines, flags, strict=True) if flag]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_DICTIONARY)
    deflated = packer.compress(b"\r\n".join(public)) + packer.flush()
    others = b"\r\n".join(line for line, flag in zip(lines, flags, strict=True) if not flag)
    size = -(-len(lines) // 8)
    if 1 + _COUNT.size + size + _SIZE.size + len(deflated) + len(others) + len(end) + len(body) > most_bytes:
        return None
    bits = sum(flag << (8 * size - 1 - at) for at, flag in enumerate(flags)).to_bytes(size, "big")
    return b"".join((_PACKED, _COUNT.pack(len(lines)), bits, _SIZE.pack(len(deflated)), deflated, others, end, body))


def unpacked(state: bytes) -> bytes:
    """Return the request that `packed` packed; raise `BadToken` for other bytes."""
    try:
        if not state.startswith(_PACKED):
            raise ValueError("no request")
        (count,) = _COUNT.unpack_from(state, 1)
        at = 1 + _COUNT.size + -(-count // 8)
        bits = int.from_bytes(state[1 + _COUNT.size : at], "big") >> (-count % 8)
        (size,) = _SIZE.unpack_from(state, at)
        at += _SIZE.size
        public = iter(_inflated(state[at : at + size]).split(b"\r\n"))
        head, end, body = state[at + size :].partition(_END)
        others = iter(head.split(b"\r\n"))
        lines = [next(public if bits >> (count - 1 - index) & 1 else others) for index in range(count)]
    except (struct.error, zlib.error, ValueError, StopIteration) as exc:
        raise BadToken(f"no request: {exc}") from None
    return b"\r\n".join(lines) + end + body


def stored(request: bytes, limits: ServerLimits = DEFAULT_SERVER_LIMITS) -> tuple[bytes, bytes]:
    """Return the ledger's key for the request, and the replacement in a token.

    Raise `RequestTooLong` for one too long for the ledger.
    """
    from trickleweb.ledger import ledger_key  # a replica of files starts sooner without it

    check_length(len(request), limits)
    key = ledger_key("stored request", request)
    return key, _STORED + key


def stored_key(state: bytes) -> bytes | None:
    """Return the ledger's key of a stored request, None for a packed one."""
    return state[1:] if state.startswith(_STORED) else None


def packed_head(head: RequestHead) -> bytes:
    """Return the method, the target and the fields that a plan depends on, deflated."""
    lines = [f"{head.method} {head.target} HTTP/1.{head.version[1]}"]
    lines += [f"{name}: {value}" for name, value in head.headers if name in _OF_PLANS]
    return zlib.compress("\r\n".join([*lines, "", ""]).encode("latin-1"), level=9, wbits=-15)


def unpacked_head(data: bytes) -> RequestHead:
    """Return the packed head, without a body; raise `BadToken`."""
    unpacker = zlib.decompressobj(wbits=-15)
    try:
        head = parse_head_untrusted(unpacker.decompress(data, MAX_HEAD_BYTES))
    except (zlib.error, HTTPError) as exc:
        raise BadToken(str(exc)) from None
    if isinstance(head, NeedMore):
        raise BadToken("an incomplete request")
    return head


def _inflated(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(-15, zdict=_DICTIONARY)
    return unpacker.decompress(data, 1 << 16)
