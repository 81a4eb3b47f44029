"""A response as bytes by offset: the head, then the pieces of the body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from trickles.service import Buffer
from trickleweb.errors import WebError
from trickleweb.files import clip
from trickleweb.messages import Inline, Piece

Chunk = tuple[int, Buffer]
Read = Callable[[str, int, int], Buffer]
MAX_WHOLE_BYTES = 16_384


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
    whole: bytes | None = None  # all of it, where that is little
    provisional: bool = False  # some of its contents were not hashed when it was begun

    @property
    def inline_bytes(self) -> int:
        """How much of the body it holds itself."""
        return sum(piece.byte_count for piece in self.pieces if isinstance(piece, Inline))

    def chunks(self, base: int, wants: Iterable[tuple[int, int]], budget: int, read: Read) -> list[Chunk]:
        """What is wanted of the output bytes, the response being at `base` in it; at most `budget` bytes.

        Raises `NotThisResponse`, and whatever `read` raises.
        """
        found: list[Chunk] = []
        end, whole = base + self.size_bytes, self.whole
        for start, stop in wants:
            if start >= end:
                continue
            start = max(start, base)
            stop = min(stop, end, start + budget)
            if start < stop:
                budget -= stop - start
                if whole is None:
                    found += self._range(base, start - base, stop - base, read)
                else:
                    found.append((start, whole[start - base : stop - base]))
        return found

    def gathered(self, read: Read) -> Response:
        """The same response with all of its bytes at hand, if they are few; raises what `read` raises."""
        if self.whole is not None or self.size_bytes > MAX_WHOLE_BYTES:
            return self
        return replace(self, whole=b"".join([data for _, data in self._range(0, 0, self.size_bytes, read)]))

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
