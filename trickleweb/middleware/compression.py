"""Compressed bodies, equal on every replica: no time, name or system in them (RFC 1952, RFC 1950).

Only complete bodies are compressed: others would have to be flushed at points that another replica cannot know. All
replicas need the same zlib; otherwise a transfer resumes only where it was begun. The length of a page with both a
secret and an attacker's text reveals the secret (BREACH): CSRF tokens are masked for that, other secrets do not belong
in pages.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

from trickleweb.bodies import Complete
from trickleweb.files.metadata import is_text
from trickleweb.files.qvalues import preferences
from trickleweb.handlers import Handler, Middleware, middleware
from trickleweb.request import Request
from trickleweb.responses import Response

_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, unknown system
# Fields that describe the exact bytes of the body.
_TIED = ("content-encoding", "content-range", "content-digest", "repr-digest", "digest", "content-md5")
_NEVER = frozenset({204, 205, 206, 304})


def compression(*, min_bytes: int = 600, level: int = 6) -> Middleware:
    """Compress complete text bodies of at least `min_bytes` for clients that accept gzip or deflate."""

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        response = await inner(request)
        body = response.body
        if not isinstance(body, Complete) or len(body.data) < min_bytes or not _is_open(response):
            return response
        response = response.varying("Accept-Encoding")
        coding = chosen_coding(request.headers.joined("accept-encoding"))
        return response if coding is None else _packed(response, body.data, coding, level)

    return handle


def chosen_coding(accept_encoding: str | None) -> str | None:
    """Return gzip or deflate, as the client prefers; None for neither, or if it prefers no coding."""
    weights = preferences(accept_encoding or "")
    anything = weights.get("*", 0)
    liked = [(weights.get(name, anything), name) for name in ("gzip", "deflate")]
    weight, name = max(liked, key=lambda each: each[0])
    return name if weight and weights.get("identity", 0) <= weight else None


def gzip_bytes(data: bytes, level: int = 6) -> bytes:
    """Return `data` as a gzip member that depends on nothing else."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    return b"".join((_GZIP_HEAD, packed, _little(zlib.crc32(data)), _little(len(data))))


def deflate_bytes(data: bytes, level: int = 6) -> bytes:
    """Return `data` in the zlib format, which HTTP calls deflate (RFC 9110 8.4.1.2)."""
    return zlib.compress(data, level)


_PACK: dict[str, Callable[[bytes, int], bytes]] = {"gzip": gzip_bytes, "deflate": deflate_bytes}


def _packed(response: Response, data: bytes, coding: str, level: int) -> Response:
    """Return the response compressed, with a weak ETag; unchanged if that is not shorter."""
    packed = _PACK[coding](data, level)
    if len(packed) >= len(data):
        return response
    made = replace(response, headers=response.headers.without("accept-ranges", "content-length"), body=Complete(packed))
    etag = made.headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        made = made.with_header("ETag", f"W/{etag}")  # other bytes, the same meaning (RFC 9110 8.8.1)
    return made.with_header("Content-Encoding", coding)


def _is_open(response: Response) -> bool:
    """Return whether a response may be compressed: whole text without a coding or a digest of its bytes."""
    headers = response.headers
    if response.status in _NEVER or any(name in headers for name in _TIED):
        return False
    if "no-transform" in headers.tokens("cache-control"):
        return False
    return is_text((headers.get("content-type") or "").partition(";")[0].strip().lower())


def _little(number: int) -> bytes:
    return (number & 0xFFFF_FFFF).to_bytes(4, "little")
