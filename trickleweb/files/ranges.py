"""Byte ranges: the parts of a representation that a Range field selects (RFC 9110 14.1, 14.2)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b

from trickleweb.messages import Inline, Piece, Slice

Interval = tuple[int, int]  # [start, stop), in bytes
Spec = tuple[int | None, int | None]  # (first, last); (None, n) are the last n bytes; (first, None) runs to the end

MAX_SPECS = 200  # more members than honest clients send; then the field is ignored
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_BEYOND = 10**19  # beyond the end of any file; longer numbers are not converted


def parse_range(value: str) -> tuple[Spec, ...] | None:
    """Return the members of a Range field, None to ignore it: malformed, of another unit, or too long."""
    unit, equals, members = value.partition("=")
    if not equals or unit.lower() != "bytes" or members.count(",") >= MAX_SPECS:
        return None
    specs = [_spec(text) for member in members.split(",") if (text := member.strip(" \t"))]
    return None if not specs or None in specs else tuple(spec for spec in specs if spec is not None)


def _spec(text: str) -> Spec | None:
    found = _SPEC.fullmatch(text)
    if found is None or text == "-":
        return None
    first, last = (_number(digits) for digits in found.groups())
    return None if first is not None and last is not None and last < first else (first, last)


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) < 20 else _BEYOND


def select(value: str, size_bytes: int, *, max_parts: int) -> tuple[Interval, ...] | None:
    """Return the intervals that a Range field selects of `size_bytes` bytes, in the order requested.

    None: the field is ignored and the whole is sent. Empty: unsatisfiable (416). Overlapping and adjacent intervals are
    merged, in any order; a field with more than `max_parts` is ignored.
    """
    specs = parse_range(value)
    if specs is None:
        return None
    if size_bytes == 0 and any((first is None and last) or first == 0 for first, last in specs):
        return None  # satisfiable, but without a valid Content-Range: send the whole
    intervals = _merged([found for spec in specs if (found := _interval(spec, size_bytes))])
    return None if len(intervals) > max_parts else intervals


def _interval(spec: Spec, size_bytes: int) -> Interval | None:
    first, last = spec
    if first is None:
        start, stop = max(size_bytes - (last or 0), 0), size_bytes
    else:
        start, stop = first, size_bytes if last is None else min(last + 1, size_bytes)
    return (start, stop) if start < stop else None


def _merged(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return the intervals with overlapping and adjacent ones merged, each at the place of its first."""
    ascending = sorted(intervals)
    joined = list[Interval]()
    for start, stop in ascending:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], stop)
        else:
            joined.append((start, stop))
    if len(joined) == len(intervals):
        return tuple(intervals)
    firsts = {bisect_right(joined, (start, _BEYOND)) - 1: None for start, _ in intervals}
    return tuple(joined[at] for at in firsts)


def content_range(interval: Interval, size_bytes: int) -> str:
    """Return the Content-Range of one interval."""
    return f"bytes {interval[0]}-{interval[1] - 1}/{size_bytes}"


def boundary(etag: str, content: str) -> str:
    """Return a boundary equal on every replica: the content's hash, or one of its name, which cannot occur in it."""
    if etag.startswith('"'):
        return "part-" + etag.strip('"')
    return "part-" + blake2b(content.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def multipart(
    content: str, intervals: Sequence[Interval], size_bytes: int, *, media_type: str, limit: str
) -> tuple[Piece, ...]:
    """Return the pieces of a multipart/byteranges body: each slice after its delimiter and fields."""
    pieces: list[Piece] = []
    for at, interval in enumerate(intervals):
        opening = "\r\n--" if at else "--"
        fields = f"Content-Type: {media_type}\r\nContent-Range: {content_range(interval, size_bytes)}\r\n\r\n"
        pieces += [Inline(f"{opening}{limit}\r\n{fields}".encode("latin-1")), Slice(content, *interval)]
    return (*pieces, Inline(f"\r\n--{limit}--\r\n".encode("latin-1")))
