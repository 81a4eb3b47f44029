"""A request in few bytes, so that another replica can run it again exactly as it came.

Layout: count of lines (2) | which of them are public (a bit each, from the highest) | bytes of these, deflated (2) |
the deflated lines | all other lines and the body, as they are. Only lines that hold no secret are deflated: how long a
state is can be seen on the wire, and must not tell how much a cookie is like something that another site put into the
request.

A request that is too long for a continuation lies in the ledger, which all replicas share, and is told by its key.
"""

from __future__ import annotations

import struct
import zlib

from trickleweb.errors import WebError
from trickleweb.ledger import ledger_key
from trickleweb.origin.program.bounds import MOST_KEPT_BYTES, MOST_TOLD_BYTES
from trickleweb.origin.response import NotThisResponse

_TOLD, _KEPT = b"t", b"k"
_COUNT, _SIZE = struct.Struct(">H"), struct.Struct(">H")
_END = b"\r\n\r\n"
# For good, as replicas of two releases read each other's states. Names of fields that no secret travels in:
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


def check_length(byte_count: int) -> None:
    """`RequestTooLong` for a request that could neither be told nor kept."""
    if byte_count > MOST_KEPT_BYTES:
        raise RequestTooLong(
            f"a request of {byte_count} bytes cannot be run again on another replica: answer it briefly, with a file,"
            " or from a cursor"
        )


def told(request: bytes) -> bytes | None:
    """The request for a state, None if that is too long."""
    head, end, body = request.partition(_END)
    lines = head.split(b"\r\n")
    flags = [line.lower().startswith(_PUBLIC) for line in lines]
    public = [line for line, flag in zip(lines, flags, strict=True) if flag]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_DICTIONARY)
    packed = packer.compress(b"\r\n".join(public)) + packer.flush()
    others = b"\r\n".join(line for line, flag in zip(lines, flags, strict=True) if not flag)
    size = -(-len(lines) // 8)
    if 1 + _COUNT.size + size + _SIZE.size + len(packed) + len(others) + len(end) + len(body) > MOST_TOLD_BYTES:
        return None
    bits = sum(flag << (8 * size - 1 - at) for at, flag in enumerate(flags)).to_bytes(size, "big")
    return b"".join((_TOLD, _COUNT.pack(len(lines)), bits, _SIZE.pack(len(packed)), packed, others, end, body))


def retold(state: bytes) -> bytes:
    """The request that `told` was given; `NotThisResponse` for any other bytes."""
    try:
        if not state.startswith(_TOLD):
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
        raise NotThisResponse(f"no request: {exc}") from None
    return b"\r\n".join(lines) + end + body


def kept(request: bytes) -> tuple[bytes, bytes]:
    """The key under which the request is to be kept in the ledger, and what a state says in its place.

    `RequestTooLong` for one that the ledger would not keep.
    """
    check_length(len(request))
    key = ledger_key("told request", request)
    return key, _KEPT + key


def key_of(state: bytes) -> bytes | None:
    """The ledger's key for a request that is kept there, None for one that is told itself."""
    return state[1:] if state.startswith(_KEPT) else None


def _inflated(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(-15, zdict=_DICTIONARY)
    return unpacker.decompress(data, 1 << 16)
