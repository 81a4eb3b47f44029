"""The body and fields of a partial response: one range, or several as multipart/byteranges (RFC 9110 14.6, 15.3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from trickleweb.files.ranges import Interval
from trickleweb.messages import Inline, Piece, Slice


def content_range(interval: Interval, size_bytes: int) -> str:
    """The Content-Range of one interval."""
    return f"bytes {interval[0]}-{interval[1] - 1}/{size_bytes}"


def boundary(etag: str, content: str) -> str:
    """The boundary, the same on every replica: the content's hash, or one of its name, which it cannot hold itself."""
    if etag.startswith('"'):
        return "part-" + etag.strip('"')
    return "part-" + blake2b(content.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def multipart(
    content: str, intervals: Sequence[Interval], size_bytes: int, *, media_type: str, limit: str
) -> tuple[Piece, ...]:
    """The pieces of a multipart/byteranges body: each slice behind its delimiter and fields."""
    pieces: list[Piece] = []
    for at, interval in enumerate(intervals):
        opening = "\r\n--" if at else "--"
        fields = f"Content-Type: {media_type}\r\nContent-Range: {content_range(interval, size_bytes)}\r\n\r\n"
        pieces += [Inline(f"{opening}{limit}\r\n{fields}".encode("latin-1")), Slice(content, *interval)]
    return (*pieces, Inline(f"\r\n--{limit}--\r\n".encode("latin-1")))
