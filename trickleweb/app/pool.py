"""Threads for plain handlers: a bounded pool with a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from threading import BoundedSemaphore
from typing import Any

from trickleweb.containment import contained
from trickleweb.http1 import unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Bounds of running plain handlers; a request beyond them is answered 503 with Retry-After."""

    threads: int = 16  # more than cores, as they wait for databases and disks
    waiting: int = 64  # for a free thread; four for each keeps the wait short


class WorkerPool:
    """Calls functions of either kind: `async def` on the loop, plain ones on a thread with the caller's context."""

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._room = BoundedSemaphore(self._limits.threads + self._limits.waiting)
        self._executor: ThreadPoolExecutor | None = None

    async def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Return the function's result, awaited if need be; raise `HTTPError` 503 for a plain one if the queue is
        full.
        """
        if is_async(function):
            return await function(*args, **kwargs)
        result = await self._on_a_thread(partial(function, *args, **kwargs))
        return await result if isawaitable(result) else result

    def close(self) -> None:
        """Drop queued calls and let running ones finish; the pool can be used again."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    async def _on_a_thread(self, call: Callable[[], Any]) -> Any:
        if not self._room.acquire(blocking=False):
            raise unavailable("All workers are busy.")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._limits.threads, "handlers")
        future = self._executor.submit(copy_context().run, contained, "a handler", call)
        future.add_done_callback(lambda _: self._room.release())  # at its end, not when its caller gives up
        return await asyncio.wrap_future(future)


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calls of a function are awaited: an `async def`, or an object whose `__call__` is one."""
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
