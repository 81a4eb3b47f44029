"""Parts of a program's event stream: each event is a step, and each comment begins a range of its own.

A second run, on another replica, gets the last id as Last-Event-ID, as from a browser that connects again. It has
caught up once it has made the events of the range that the client shows, whose digest is known; comments are dropped
until then. A program without ids is read from its beginning, at the program's pace: if it has not caught up in
`CATCH_UP_S`, the stream ends, and a browser connects again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from hashlib import sha256

from trickleweb.bodies.iteration import Part, framed
from trickleweb.bodies.kinds import Streamed
from trickleweb.http1 import LAST_CHUNK, BodyDelivery, chunk_start
from trickleweb.server.errors import NotThisResponse, StreamFailed
from trickleweb.server.event_blocks import Block, EventBlocks, Locator, Track
from trickleweb.server.tokens.positions import EventPosition
from trickleweb.server.tokens.ranges import DIGEST_BYTES

CATCH_UP_S = 5.0
QUIET_S = 1.0  # without comments after a resumption: many programs begin with one, and each is a range of its own
EventParts = AsyncGenerator[Part, None]


class NotCaughtUp(StreamFailed):
    """A program, run again, did not come to the events that the client has in time."""


async def event_parts(body: Streamed, delivery: BodyDelivery) -> EventParts:
    """Yield the parts of a first run."""
    blocks = _blocks(body)
    async with aclosing(blocks), aclosing(_parts(blocks, Track(), 0, chunked=delivery.chunked)) as parts:
        async for part in parts:
            yield part


async def resumed_parts(
    body: Streamed, delivery: BodyDelivery, position: EventPosition, byte_count: int, digest: bytes
) -> EventParts:
    """Yield the parts of another run from a position on, if the next `byte_count` bytes have that digest.

    Raise `NotCaughtUp`, or `NotThisResponse` if the program's events are others.
    """
    async with aclosing(_blocks(body)) as blocks:
        catching = _Catching(position, byte_count, digest, chunked=delivery.chunked)
        try:
            async with asyncio.timeout(CATCH_UP_S):
                while not catching.done:
                    catching.take(await anext(blocks, None))
        except TimeoutError:
            raise NotCaughtUp("the program's second run did not come to the events that the client has") from None
        for part in catching.parts:
            yield part
        if not catching.ended:
            quiet = asyncio.get_running_loop().time() + QUIET_S
            async with aclosing(_parts(blocks, catching.track, quiet, chunked=delivery.chunked)) as parts:
                async for part in parts:
                    yield part


class _Catching:
    """The part of a second run until it has made the range that the client shows."""

    def __init__(self, position: EventPosition, byte_count: int, digest: bytes, *, chunked: bool) -> None:
        self._locator = Locator(position)
        self._comment = position.comment
        self._byte_count, self._digest = byte_count, digest
        self._chunked = chunked
        self.ended = self.done = False
        self._begin()

    def _begin(self) -> None:
        self.track = self._locator.track
        comment = _framed(self._comment, chunked=self._chunked) if self._comment else b""
        self.parts = [Part(comment, self.track.after)] if comment else []
        self._check()

    def take(self, block: Block | None) -> None:
        """Take the next block, or the end."""
        if block is None:
            self.ended = True
            if self._chunked:
                self.parts.append(Part(LAST_CHUNK, step=False))
            self._check()
            if not self.done:
                raise NotThisResponse("the program's events end earlier here")
        elif block.comment:
            pass
        elif self._locator.take(block):
            self.track = self.track.stepped(block)
            self.parts.append(Part(_framed(block.data, chunked=self._chunked), self.track.after))
            self._check()
        elif self._locator.hopeless:
            raise NotThisResponse("the program's events differ here")
        else:
            self._begin()

    def _check(self) -> None:
        made = b"".join(part.data for part in self.parts)
        if not self._locator.found or len(made) < self._byte_count:
            return
        if len(made) == self._byte_count and sha256(made).digest()[:DIGEST_BYTES] == self._digest:
            self.done = True
        elif self._locator.differs():
            raise NotThisResponse("the program's events differ here")


async def _parts(blocks: AsyncIterator[Block], track: Track, quiet: float, *, chunked: bool) -> EventParts:
    async for block in blocks:
        if block.comment and asyncio.get_running_loop().time() < quiet:
            continue
        if block.comment:
            yield Part(b"", track.proven._replace(comment=block.data), fence=True)
        else:
            track = track.stepped(block)
        yield Part(_framed(block.data, chunked=chunked), track.after)
    if chunked:
        yield Part(LAST_CHUNK, step=False)


async def _blocks(body: Streamed) -> AsyncGenerator[Block, None]:
    blocks = EventBlocks()
    whole = BodyDelivery(None, chunked=False, has_body=True, keep_alive=False)
    async with aclosing(framed(body, whole)) as pieces:
        async for piece in pieces:
            for block in blocks.cut(piece.data):
                yield block
    for block in blocks.rest():
        yield block


def _framed(data: bytes, *, chunked: bool) -> bytes:
    return b"".join((chunk_start(len(data)), data, b"\r\n")) if chunked else data
