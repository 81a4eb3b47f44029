"""Threads for plain functions: few, with a queue that has an end, so that slow handlers do not pile up."""

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

from trickleweb.http1 import unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How much plain handlers may do at once; beyond it a request is answered 503, with Retry-After."""

    threads: int = 16  # they wait for databases and disks: more than there are cores
    waiting: int = 64  # for a free thread: four for each, so that nobody waits for long


class WorkerPool:
    """Calls functions of either kind: `async def` on the loop, plain ones on a thread with the caller's context."""

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._room = BoundedSemaphore(self._limits.threads + self._limits.waiting)
        self._executor: ThreadPoolExecutor | None = None

    async def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The function's result, awaited if need be; `HTTPError` 503 for a plain one if too many wait already."""
        if is_async(function):
            return await function(*args, **kwargs)
        result = await self._on_a_thread(partial(function, *args, **kwargs))
        return await result if isawaitable(result) else result

    def close(self) -> None:
        """Take no more of what waits; threads end with what they are at. A later call begins anew."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    async def _on_a_thread(self, call: Callable[[], Any]) -> Any:
        if not self._room.acquire(blocking=False):
            raise unavailable("All workers are busy.")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._limits.threads, "handlers")
        future = self._executor.submit(copy_context().run, _resumable, call)
        future.add_done_callback(lambda _: self._room.release())  # when it has ended, not when nobody waits any more
        return await asyncio.wrap_future(future)


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of it is to be awaited: of an `async def`, or of an object whose `__call__` is one."""
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _resumable(call: Callable[[], Any]) -> Any:
    """A future cannot hold StopIteration: whoever awaits it would wait for ever."""
    try:
        return call()
    except StopIteration as exc:
        raise RuntimeError("a handler raised StopIteration") from exc
