"""Stored responses as one replica sees them: the head, the bytes at hand, and the replies made of them.

All of it is soft state: a response is in the store, and what this replica forgets it reads again. The body lies here
in blocks of equal size, each complete or the last one that is known; least recently used ones are dropped.

The replies are those of streams without their digests: ranges that join, each with a token of its own, with `more`
while the response goes on. The next range is offered before it is requested (see `offers`).
"""

from __future__ import annotations

from trickles.service import Buffer, Continuation, Event, Reply
from trickleweb.cache import LruCache
from trickleweb.response_store import Growth
from trickleweb.server.errors import StreamFailed
from trickleweb.server.fixed import Chunk
from trickleweb.server.limits import DEFAULT_SERVER_LIMITS
from trickleweb.server.offers import Offers
from trickleweb.server.stream import stop_of
from trickleweb.server.tokens import encode
from trickleweb.server.tokens.stored import StoredToken

BLOCK_BYTES = 1 << 17
_OFFERED_BYTES = 1 << 19  # requested from here on before the end of a range, the next one is offered


class Blocks:
    """Bytes of bodies by the name of their response, in bounded memory."""

    def __init__(self, limit_bytes: int = DEFAULT_SERVER_LIMITS.stored_bytes) -> None:
        self._blocks: LruCache[tuple[bytes, int], bytes] = LruCache(limit_bytes)

    def clear(self) -> None:
        self._blocks.clear()

    def add(self, name: bytes, at: int, data: Buffer) -> None:
        """Keep the bytes from offset `at` on; a block whose bytes before them are not here takes none."""
        view = memoryview(data)
        while view:
            index, within = divmod(at, BLOCK_BYTES)
            part = view[: BLOCK_BYTES - within]
            known = self._blocks.get((name, index)) or b""
            if len(known) >= within and len(known) < within + len(part):
                block = b"".join((known[:within], part))
                self._blocks.put((name, index), block, len(block))
            at, view = at + len(part), view[len(part) :]

    def parts(self, name: bytes, start: int, stop: int) -> list[Buffer] | int:
        """Return bytes [start, stop), or the offset of a block that has to be read first."""
        found: list[Buffer] = []
        while start < stop:
            index, within = divmod(start, BLOCK_BYTES)
            upto = min(stop - start + within, BLOCK_BYTES)
            block = self._blocks.get((name, index))
            if block is None or len(block) < upto:
                return index * BLOCK_BYTES
            found.append(memoryview(block)[within:upto])
            start += upto - within
        return found


class StoredResponse:
    """One stored response. `size` counts the bytes of its body that are known to be stored; `token` is its first.

    `written_here`: this replica stores it, so it knows of every byte.
    """

    def __init__(self, token: StoredToken, head: bytes, blocks: Blocks) -> None:
        self.token = token
        self.size = 0
        self.growth = Growth.OPEN
        self.written_here = False
        self.parked = 0  # requests waiting for it
        self._head = head
        self._blocks = blocks
        self._offers = Offers(_OFFERED_BYTES)

    @property
    def stop(self) -> int:
        """The number of bytes that can be sent, head included."""
        return len(self._head) + self.size

    @property
    def over(self) -> bool:
        """True if no more bytes will come."""
        return self.growth is not Growth.OPEN

    def writing(self) -> None:
        """Note that this replica stores it."""
        self.written_here = True

    def grew(self, data: Buffer, size: int, growth: Growth) -> None:
        """Note bytes that follow on those known, and the whole as it is in the store now."""
        self._blocks.add(self.token.name, self.size, data)
        self.size, self.growth = max(self.size, size), growth

    def read(self, at: int, data: Buffer) -> None:
        """Note bytes from the store at the beginning of a block."""
        self._blocks.add(self.token.name, at, data)

    # Replies

    def first(self, start: int, consumed: int) -> Continuation:
        """Return the continuation of the first range; the response is at offset `start` of the output."""
        return self._continuation(start, 0, consumed)

    def ready(self, event: Event, known: Continuation, token: StoredToken) -> bool:
        """Return whether this replica knows of all bytes of the range, and of news after it if that is wanted."""
        stop = stop_of(known) - (known.start - token.at)
        if self.stop < stop:
            return False
        return not (known.more and _extends(event, known)) or self.stop > stop or self.over

    def following(self, event: Event, known: Continuation, token: StoredToken) -> Continuation | None:
        """Return the continuation of the next range if it is wanted, or soon will be.

        An empty last range is not offered: the packet with its end may be lost, and then nothing is left to request.
        Raise `StreamFailed` if it is wanted and the response was cut before it.
        """
        if not known.more:
            return None
        stop, extends = stop_of(known), _extends(event, known)
        if not extends and not self._offers.is_due(max((each for _, each in event.wants), default=0), stop):
            return None
        at = stop - (known.start - token.at)
        if self.stop > at or (extends and self.growth is Growth.COMPLETE):
            return self._continuation(stop, at, known.consumed)
        if extends:
            raise StreamFailed
        return None

    def reply(
        self, event: Event, known: Continuation, token: StoredToken, following: Continuation | None
    ) -> Reply | int:
        """Return the wanted bytes of the range, and of the following one if only that is wanted.

        Return the offset of a block of the body if that has to be read first.
        """
        stop = stop_of(following or known) if _extends(event, known) else stop_of(known)
        chunks: list[Chunk] = []
        budget, base = event.budget, known.start - token.at
        for low, high in event.wants:
            low = max(low, known.start)
            high = min(high, stop, low + budget)
            if low >= high:
                continue
            budget -= high - low
            found = self._parts(low - base, high - base)
            if isinstance(found, int):
                return found
            for part in found:
                chunks.append((low, part))
                low += len(part)
        return Reply(tuple(chunks), following, self._end(following or known, base) if token.last else None)

    def _end(self, last: Continuation, base: int) -> int | None:
        """Return where the output ends, as the store says, or as `last` says, if this replica did not look since."""
        if self.growth is Growth.COMPLETE:
            return base + self.stop
        return None if last.more else stop_of(last)

    def _parts(self, start: int, stop: int) -> list[Buffer] | int:
        edge = len(self._head)
        head: list[Buffer] = [self._head[start:stop]] if start < edge else []
        if stop <= edge:
            return head
        found = self._blocks.parts(self.token.name, max(start - edge, 0), stop - edge)
        return found if isinstance(found, int) else head + found

    def _continuation(self, start: int, at: int, consumed: int) -> Continuation:
        more = self.growth is not Growth.COMPLETE
        return Continuation(encode(self.token._replace(at=at)), start, start + self.stop - at, consumed, more)


def _extends(event: Event, known: Continuation) -> bool:
    """Return whether only bytes after the range are wanted."""
    return bool(event.wants) and event.wants[0][0] >= stop_of(known)
