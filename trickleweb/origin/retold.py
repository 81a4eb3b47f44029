"""A request in few bytes: what a state holds of it when the plan of its response is too large to be held itself."""

from __future__ import annotations

import zlib

from trickleweb.http1 import parse_head_untrusted
from trickleweb.messages import NeedMore, Request
from trickleweb.origin.response import NotThisResponse

MAX_HEAD_BYTES = 16_384  # nothing longer deflates to what a state has room for, unless it is made for that
# All that a plan may depend on. The names are for good: replicas of two releases read each other's states.
_KEPT = (
    "host", "accept", "accept-encoding", "range", "if-range", "if-match", "if-none-match", "if-modified-since",
    "if-unmodified-since",
)  # fmt: skip


def pack(request: Request) -> bytes:
    """The request's method, target and the fields that a plan depends on, deflated."""
    lines = [f"{request.method} {request.target} HTTP/1.{request.version[1]}"]
    lines += [f"{name}: {value}" for name, value in request.headers if name in _KEPT]
    return zlib.compress("\r\n".join([*lines, "", ""]).encode("latin-1"), level=9, wbits=-15)


def unpack(packed: bytes) -> Request:
    """The request again, without a body; `NotThisResponse` or the parser's `HTTPError` if it is none."""
    unpacker = zlib.decompressobj(wbits=-15)
    try:
        head = unpacker.decompress(packed, MAX_HEAD_BYTES)
    except zlib.error as exc:
        raise NotThisResponse(str(exc)) from None
    request = parse_head_untrusted(head)
    if isinstance(request, NeedMore):
        raise NotThisResponse("a request that is cut")
    return request
