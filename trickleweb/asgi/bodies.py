"""The bytes of a response's body, of whatever kind, in order and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import aclosing
from typing import TypeVar

from trickleweb.application import Application
from trickleweb.bodies import Complete, Data, FileBody, Rendered, Stepped, Streamed
from trickleweb.errors import HTTPError
from trickleweb.files import HashPending
from trickleweb.messages import Inline, Plan
from trickleweb.messages import Request as Head

T = TypeVar("T")
BLOCK_BYTES = 256 * 1024
_HASH_PAUSE_S, _HASH_TRIES = 0.05, 600


def whole(application: Application, body: Complete | Rendered) -> bytes:
    """The body's bytes."""
    return application.render(body) if isinstance(body, Rendered) else body.data


async def file_plan(application: Application, body: FileBody, head: Head) -> Plan:
    """The response for a file, once its hash is known; `HTTPError` 503 if that takes too long."""
    for _ in range(_HASH_TRIES):
        try:
            return application.file_plan(body, head)
        except HashPending:
            await asyncio.sleep(_HASH_PAUSE_S)
    raise HTTPError(503, "The file is being looked at.", headers=(("Retry-After", "5"),))


async def pieces(application: Application, plan: Plan) -> AsyncGenerator[bytes, None]:
    """The bytes that a plan stands for."""
    for piece in plan.pieces:
        if isinstance(piece, Inline):
            yield piece.data
            continue
        for start in range(piece.start, piece.stop, BLOCK_BYTES):
            yield bytes(application.read(piece.content, start, min(start + BLOCK_BYTES, piece.stop)))


async def made(body: Stepped | Streamed) -> AsyncGenerator[bytes, None]:
    """The bytes that a program makes as they go; plain iterators run on a thread."""
    if isinstance(body, Stepped):
        async with aclosing(iterated(body.run())) as steps:
            async for data, _ in steps:
                yield as_bytes(data)
    else:
        async with aclosing(iterated(body.chunks)) as chunks:
            async for data in chunks:
                yield as_bytes(data)


def as_bytes(data: Data) -> bytes:
    """What a program made, as it goes out."""
    return data.encode("utf-8") if isinstance(data, str) else data


async def iterated(items: AsyncIterable[T] | Iterable[T]) -> AsyncGenerator[T, None]:
    """The items of an iterable of either kind, which is closed when this ends, however it does."""
    try:
        if isinstance(items, AsyncIterable):
            async for item in items:
                yield item
        else:
            iterator = iter(items)
            while found := await asyncio.to_thread(_next, iterator):
                yield found[0]
    finally:
        await _closed(items)


def _next(iterator: Iterator[T]) -> tuple[T] | None:
    for item in iterator:
        return (item,)
    return None


async def _closed(items: object) -> None:
    if (aclose := getattr(items, "aclose", None)) is not None:
        await aclose()
    elif (close := getattr(items, "close", None)) is not None:
        close()
