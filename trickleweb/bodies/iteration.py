"""Iterate bodies that are made while they are sent: the one place where an application's generators run.

A body is a `Stepped` or a `Streamed`; its source is an async iterable, which runs on the loop, or a plain one, which
runs on a thread that it may block. `framed` yields parts as they go out on the wire: one part is one chunk, and long
items are cut into several, so that equal bodies are framed alike on every replica, whatever their pace. Faults of a
source are exceptions: `BadPart`, `StepTooLarge`, `WrongLength`, `BrokenOff`, or its own. A source is closed when its
iteration ends.

A plain source is asked for a batch of items per turn of its thread, since a change of threads costs more than an item;
an item can be taken before its batch is complete. Batches are bounded in bytes: the thread stops between two batches,
where it can be abandoned, never within one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from trickles.service import Buffer
from trickleweb.bodies.kinds import Body, Complete, Planned, Streamed
from trickleweb.bodies.steps import Data, Stepped
from trickleweb.containment import Contained, contained
from trickleweb.errors import WebError
from trickleweb.http1 import LAST_CHUNK, BodyDelivery, chunk_start
from trickleweb.messages import Inline
from trickleweb.plain import Plain, StateTooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """Bounds of bodies that are made while they are sent."""

    step_bytes: int = 1 << 20  # of one step, which is held whole
    threads: int = 64  # plain iterables at work; each keeps its thread, so event streams are async


DEFAULT_BODY_LIMITS = BodyLimits()
_PIECE_BYTES = 1 << 16  # of a long item: the first bytes leave before the last are looked at
_BATCH_BYTES = 1 << 16  # the thread stops after so much until its items are taken
_ITEM_BYTES = 1 << 6  # cost of an item besides its bytes
_BLOCK_BYTES = 1 << 18  # of a planned body, one read
_THREADS = ThreadPoolExecutor(DEFAULT_BODY_LIMITS.threads, "bodies")
_BODY = "the body"
_CONTAINED = Contained(_BODY)


class Part(NamedTuple):
    """Bytes on the wire, and the cursor after them for a stepped body; `step` is False where no step ends.

    A `fence` has no bytes: the next part begins a range of its own.
    """

    data: bytes
    cursor: Plain = None
    step: bool = True
    fence: bool = False


class WrongLength(WebError):
    """A body's length differs from the one that its response's head announced."""


class BadPart(WebError, TypeError):
    """A body gave something other than text, bytes, or pairs of these with a cursor."""


class StepTooLarge(WebError, ValueError):
    """A step gave more bytes than a replica holds until all of it is checked: yield less with each cursor."""


Parts = AsyncGenerator[Part, None]
_Pairs = AsyncGenerator[tuple[bytes, Plain], None]


async def framed(
    body: Stepped | Streamed,
    delivery: BodyDelivery,
    limits: BodyLimits = DEFAULT_BODY_LIMITS,
    *,
    most_bytes: int | None = None,
) -> Parts:
    """Yield `body` as parts on the wire; raise its errors, and those above for bad bodies.

    `StateTooLarge` after `most_bytes`, without framing.
    """
    length = delivery.content_length
    sent = 0
    steps = isinstance(body, Stepped)
    async with aclosing(_pairs(body, limits)) as source:
        async for data, cursor in source:
            sent += len(data)
            if length is not None and sent > length:
                raise WrongLength(f"the body is longer than the {length} bytes that were announced")
            if most_bytes is not None and sent > most_bytes:
                raise StateTooLarge(f"the response to an unsafe request takes more than {most_bytes} bytes")
            for piece, ends in _cut(data):
                if piece and delivery.chunked:
                    piece = b"".join((chunk_start(len(piece)), piece, b"\r\n"))
                yield Part(piece, cursor, steps and ends)
    if length is not None and sent < length:
        raise WrongLength(f"the body ended at {sent} of {length} bytes")
    if delivery.chunked:
        yield Part(LAST_CHUNK, step=False)


def _cut(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield pieces of at most `_PIECE_BYTES`, and whether it is the last one; data in one piece is not copied."""
    if len(data) <= _PIECE_BYTES:
        yield data, True
        return
    for at in range(0, len(data), _PIECE_BYTES):
        yield data[at : at + _PIECE_BYTES], at + _PIECE_BYTES >= len(data)


async def collected(body: Streamed, most_bytes: int) -> Complete:
    """Return the whole stream as one body; raise `StateTooLarge` for more than `most_bytes`, and its own errors."""
    delivery = BodyDelivery(body.byte_count, chunked=False, has_body=True, keep_alive=False)
    parts, size = [], 0
    async with aclosing(framed(body, delivery)) as stream:
        async for part in stream:
            parts.append(part.data)
            size += len(part.data)
            if size > most_bytes:
                raise StateTooLarge(
                    f"the streamed response to an unsafe request takes more than {most_bytes} bytes, which the ledger"
                    " would have to keep: answer with a redirect to it, with a file, or from a cursor"
                )
    return Complete(b"".join(parts))


def planned_bytes(body: Planned, read: Callable[[str, int, int], Buffer]) -> Iterator[bytes]:
    """Yield the bytes of the pieces, a block at a time; raise what `read` raises."""
    for piece in body.pieces:
        if isinstance(piece, Inline):
            yield piece.data
            continue
        for start in range(piece.start, piece.stop, _BLOCK_BYTES):
            yield bytes(read(piece.content, start, min(start + _BLOCK_BYTES, piece.stop)))


async def abandon(body: Body) -> None:
    """Close a body that will not be read; its exceptions are dropped."""
    if not isinstance(body, Streamed):
        return
    source = body.chunks
    with suppress(Exception), _CONTAINED:
        if (aclose := getattr(source, "aclose", None)) is not None:
            await aclose()
        elif (close := getattr(source, "close", None)) is not None:
            await asyncio.get_running_loop().run_in_executor(_THREADS, contained, _BODY, close)


async def _pairs(body: Stepped | Streamed, limits: BodyLimits) -> _Pairs:
    async with aclosing(_stepped(body, limits) if isinstance(body, Stepped) else _streamed(body)) as pairs:
        while True:
            with _CONTAINED:  # not where a GeneratorExit would be that of `aclose`
                pair = await anext(pairs, None)
            if pair is None:
                return
            yield pair


async def _stepped(body: Stepped, limits: BodyLimits) -> _Pairs:
    async with aclosing(_items(body.run())) as items:
        async for each in items:
            try:
                data, cursor = each
            except (TypeError, ValueError):
                raise BadPart("a step is a pair of data and the cursor after it") from None
            data = _bytes(data)
            if len(data) > limits.step_bytes:
                raise StepTooLarge(
                    f"a step of {body.steps.name!r} gave {len(data)} bytes, over {limits.step_bytes}:"
                    " yield less with each cursor"
                )
            yield data, cursor


async def _streamed(body: Streamed) -> _Pairs:
    async with aclosing(_items(body.chunks)) as items:
        async for data in items:
            yield _bytes(data), None


def _bytes(data: Data | Any) -> bytes:
    if isinstance(data, str):
        return data.encode("utf-8")
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise BadPart(f"a body gives text or bytes, not {type(data).__name__}")


async def _items(source: Any) -> AsyncGenerator[Any, None]:
    """Yield the items of an iterable of either kind as they come; close it at the end if it can be closed."""
    if not hasattr(source, "__aiter__"):
        plain = _plain(source)
        try:
            async for item in plain:
                yield item
        finally:
            await plain.aclose()
        return
    iterator = aiter(source)
    try:
        async for item in iterator:
            yield item
    finally:
        if (close := getattr(iterator, "aclose", None)) is not None:
            with _CONTAINED:
                await close()


async def _plain(source: Any) -> AsyncGenerator[Any, None]:
    iterator, loop, call = iter(source), asyncio.get_running_loop(), copy_context().run
    items: deque[Any] = deque()
    news, taken = asyncio.Event(), True

    def give(item: Any) -> bool:
        items.append(item)
        if len(items) == 1:
            loop.call_soon_threadsafe(news.set)
        return taken

    batch: asyncio.Future[bool] | None = None
    try:
        while batch is None or batch.result():
            batch = loop.run_in_executor(_THREADS, call, contained, _BODY, partial(_batch, iterator, give))
            batch.add_done_callback(lambda _: news.set())
            while items or not batch.done():
                await news.wait()
                news.clear()
                while items:
                    yield items.popleft()
    finally:
        taken = False
        if batch is not None and not batch.done():
            await asyncio.wait([batch])
        if batch is not None and not batch.cancelled():
            batch.exception()  # noted
        close = getattr(source, "close", None) or getattr(iterator, "close", None)
        if close is not None:
            await loop.run_in_executor(_THREADS, call, contained, _BODY, close)


def _batch(iterator: Iterator[Any], give: Callable[[Any], bool]) -> bool:
    """Give some items; return whether there are more."""
    size = 0
    for item in iterator:
        data = item[0] if isinstance(item, tuple) and item else item
        size += _ITEM_BYTES + (len(data) if isinstance(data, bytes | str) else _BATCH_BYTES)
        if not give(item) or size >= _BATCH_BYTES:
            return True
    return False
