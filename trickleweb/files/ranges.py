"""Which bytes a Range field selects of a representation (RFC 9110 14.1, 14.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

Interval = tuple[int, int]  # [start, stop), in bytes
Spec = tuple[int | None, int | None]  # (first, last); (None, n) are the last n bytes; (first, None) runs to the end

MAX_SPECS = 200  # more members than any honest client sends; the field is ignored
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_BEYOND = 10**19  # past the end of any file; longer numbers are not converted


def parse_range(value: str) -> tuple[Spec, ...] | None:
    """The members of a Range field; None if it is malformed, of another unit, or too long: then it is ignored."""
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
    """The intervals that a Range field selects of `size_bytes` bytes, in the order asked for.

    None: the field is ignored and the whole is sent. Empty: nothing can be satisfied (416). Overlapping intervals are
    merged, and so are neighbours that follow each other; more than `max_parts` are too many, and the field is ignored.
    """
    specs = parse_range(value)
    if specs is None:
        return None
    if size_bytes == 0 and any(first is None and last for first, last in specs):
        return None  # the last n bytes of nothing are satisfiable, and no Content-Range can say so: the whole it is
    intervals = _merged([found for spec in specs if (found := _interval(spec, size_bytes))])
    return None if len(intervals) > max_parts else intervals


def _interval(spec: Spec, size_bytes: int) -> Interval | None:
    first, last = spec
    if first is None:
        start, stop = max(size_bytes - (last or 0), 0), size_bytes
    else:
        start, stop = first, size_bytes if last is None else min(last + 1, size_bytes)
    return (start, stop) if start < stop else None


def _merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """In the order given, unless some overlap: then ascending."""
    joined = _joined(intervals)
    ascending = sorted(joined)
    overlap = any(left[1] > right[0] for left, right in pairwise(ascending))
    return tuple(_joined(ascending) if overlap else joined)


def _joined(intervals: Iterable[Interval]) -> list[Interval]:
    """Each interval joined to the one before it where they overlap, or where it begins at that one's end."""
    out: list[Interval] = []
    for start, stop in intervals:
        if out and start <= out[-1][1] and stop > out[-1][0]:
            before = out.pop()
            start, stop = min(start, before[0]), max(stop, before[1])
        out.append((start, stop))
    return out
