"""The items of a program's iterable, async or plain; a plain one runs in a thread, which it may block."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any

from trickleweb.origin.program.bounds import MOST_THREADS

_BATCH_BYTES = 1 << 16  # then a thread stops until its items are taken
_ITEM_BYTES = 1 << 6  # what an item costs beside its bytes
_THREADS = ThreadPoolExecutor(MOST_THREADS, "bodies")


async def items_of(source: Any) -> AsyncGenerator[Any, None]:
    """What an iterable of either kind gives, item by item, as soon as it is there; closed at the end if it can be."""
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
            await close()


async def close_items(source: Any) -> None:
    """Close an iterable of which nothing was taken."""
    with suppress(Exception):
        if (aclose := getattr(source, "aclose", None)) is not None:
            await aclose()
        elif (close := getattr(source, "close", None)) is not None:
            await asyncio.get_running_loop().run_in_executor(_THREADS, close)


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
            batch = loop.run_in_executor(_THREADS, call, partial(_batch, iterator, give))
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
            await loop.run_in_executor(_THREADS, call, close)


def _batch(iterator: Iterator[Any], give: Callable[[Any], bool]) -> bool:
    """Give some items, and tell whether there are more."""
    size = 0
    for item in iterator:
        data = item[0] if isinstance(item, tuple) and item else item
        size += _ITEM_BYTES + (len(data) if isinstance(data, bytes | str) else _BATCH_BYTES)
        if not give(item) or size >= _BATCH_BYTES:
            return True
    return False
