"""A response as bytes by offset: the head, then the pieces of the body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from trickles.service import Buffer
from trickleweb.errors import WebError
from trickleweb.files import clip
from trickleweb.messages import Inline, Piece

Chunk = tuple[int, Buffer]
Read = Callable[[str, int, int], Buffer]


class NotThisResponse(WebError):
    """This replica would make other bytes of that state: another release, or another tree."""


@dataclass(frozen=True, slots=True)
class Response:
    """All that is sent for one request; `last` ends the connection behind it.

    `head` is None where this replica would render another one than was begun with: the body can still be sent.
    """

    head: bytes | None
    head_bytes: int
    pieces: tuple[Piece, ...]
    size_bytes: int
    last: bool

    @property
    def inline_bytes(self) -> int:
        """How much of the body it holds itself."""
        return sum(piece.byte_count for piece in self.pieces if isinstance(piece, Inline))

    def chunks(self, base: int, wants: Iterable[tuple[int, int]], budget: int, read: Read) -> list[Chunk]:
        """What is wanted of the output bytes, the response being at `base` in it; at most `budget` bytes.

        Raises `NotThisResponse`, and whatever `read` raises.
        """
        found: list[Chunk] = []
        for start, stop in wants:
            start = max(start, base)
            stop = min(stop, base + self.size_bytes, start + budget)
            if start < stop:
                budget -= stop - start
                found += self._range(base, start - base, stop - base, read)
        return found

    def _range(self, base: int, start: int, stop: int, read: Read) -> Iterator[Chunk]:
        edge = self.head_bytes
        if start < edge:
            if self.head is None:
                raise NotThisResponse("the head was rendered otherwise")
            yield base + start, self.head[start:stop]
        if stop > edge:
            at = max(start, edge)
            for piece in clip(self.pieces, at - edge, stop - edge):
                yield (
                    base + at,
                    piece.data if isinstance(piece, Inline) else read(piece.content, piece.start, piece.stop),
                )
                at += piece.byte_count
