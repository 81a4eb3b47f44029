"""Bodies as they go out: the parts of a stream framed as chunks or sent as they are, each with the cursor behind it.

One part is one chunk, so that equal bodies are framed alike on every replica, whatever their pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from trickleweb.bodies import Stepped, Streamed
from trickleweb.errors import WebError
from trickleweb.http1 import LAST_CHUNK, Delivery, chunk_start
from trickleweb.plain import Plain

_BATCH_BYTES = 1 << 16  # of a plain iterator's parts: they are fetched in a thread, some at a time
_BATCH_SECONDS = 0.002


class Part(NamedTuple):
    """Bytes on the wire, and the cursor behind them for a stepped body; `step` is False where no step ends."""

    data: bytes
    cursor: Plain = None
    step: bool = True


class WrongLength(WebError):
    """A body is not as long as its response's head said."""


class BadPart(WebError, TypeError):
    """A body gave something else than text, bytes, or pairs of these with a cursor."""


Parts = AsyncIterator[Part]


async def framed(body: Stepped | Streamed, delivery: Delivery) -> Parts:
    """What goes on the wire for `body`; raises whatever it raises, `WrongLength` and `BadPart`."""
    length = delivery.content_length
    sent = 0
    steps = isinstance(body, Stepped)
    source = _stepped(body) if isinstance(body, Stepped) else _streamed(body)
    try:
        async for data, cursor in source:
            sent += len(data)
            if length is not None and sent > length:
                raise WrongLength(f"the body is longer than the {length} bytes that were announced")
            if not data:
                yield Part(b"", cursor, steps)
            elif delivery.chunked:
                yield Part(b"".join((chunk_start(len(data)), data, b"\r\n")), cursor, steps)
            else:
                yield Part(data, cursor, steps)
    finally:
        await source.aclose()
    if length is not None and sent < length:
        raise WrongLength(f"the body ended at {sent} of {length} bytes")
    if delivery.chunked:
        yield Part(LAST_CHUNK, step=False)


async def _stepped(body: Stepped) -> Any:
    async for each in _each(body.run()):
        try:
            data, cursor = each
        except (TypeError, ValueError):
            raise BadPart("a step is a pair of data and the cursor behind it") from None
        yield _bytes(data), cursor


async def _streamed(body: Streamed) -> Any:
    async for data in _each(body.chunks):
        yield _bytes(data), None


def _bytes(data: Any) -> bytes:
    if isinstance(data, str):
        return data.encode("utf-8")
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise BadPart(f"a body gives text or bytes, not {type(data).__name__}")


async def _each(source: Any) -> AsyncIterator[Any]:
    """The items of an iterable of either kind; a plain one runs in a thread. Closed at the end if it can be."""
    if hasattr(source, "__aiter__"):
        iterator = aiter(source)
        try:
            async for item in iterator:
                yield item
        finally:
            if (close := getattr(iterator, "aclose", None)) is not None:
                await close()
        return
    threaded, loop = iter(source), asyncio.get_running_loop()
    try:
        while batch := await loop.run_in_executor(None, _batch, threaded):
            for item in batch:
                yield item
    finally:
        close = getattr(source, "close", None) or getattr(threaded, "close", None)
        if close is not None:
            await loop.run_in_executor(None, close)


def _batch(source: Iterator[Any]) -> list[Any]:
    """Some items: one if it is large or slow to come, more if they are small."""
    items: list[Any] = []
    size, until = 0, time.monotonic() + _BATCH_SECONDS
    for item in source:
        items.append(item)
        data = item[0] if isinstance(item, tuple) and item else item
        size += len(data) if isinstance(data, bytes | str) else _BATCH_BYTES
        if size >= _BATCH_BYTES or time.monotonic() >= until:
            break
    return items
