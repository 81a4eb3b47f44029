"""Cutting a body, given as pieces, at byte offsets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trickleweb.messages import Inline, Piece, Slice


def clip(pieces: Iterable[Piece], start: int, stop: int) -> Iterator[Piece]:
    """The pieces of the body bytes [start, stop), in order; none is empty."""
    base = 0
    for piece in pieces:
        if base >= stop:
            return
        first, last = max(start - base, 0), min(stop - base, piece.byte_count)
        if first < last:
            yield _cut(piece, first, last)
        base += piece.byte_count


def _cut(piece: Piece, first: int, last: int) -> Piece:
    if isinstance(piece, Inline):
        return Inline(piece.data[first:last])
    return Slice(piece.content, piece.start + first, piece.start + last)
