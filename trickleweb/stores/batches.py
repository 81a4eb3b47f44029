"""Calls that arrive while a batch is under way go together in the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from trickleweb.errors import LedgerUnavailable

_CLOSED = "the ledger is closed"
Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Calls of one kind. `work` does the work of many, and returns a result for each, in order.

    `unheard` gets the result of a call that was cancelled before it came.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        calls: int,
        most_bytes: int,
        weight: Callable[[Item], int] = lambda _: 0,
        unheard: Callable[[Item, Result], None] = lambda _item, _result: None,
    ) -> None:
        self._work = work
        self._calls = calls
        self._most_bytes = most_bytes
        self._weight = weight
        self._unheard = unheard
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def call(self, item: Item) -> Result:
        """Return the result for one item, or raise what `work` raised for its batch."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, result))
        if self._task is None:
            self._task = loop.create_task(self._run())
        try:
            return await result
        except asyncio.CancelledError:
            if not result.cancelled() and result.exception() is None:  # it came in the same turn of the loop
                self._unheard(item, result.result())
            raise

    async def close(self) -> None:
        """End the batch under way; all calls raise `LedgerUnavailable`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        _fail(self._waiting, LedgerUnavailable(_CLOSED))
        self._waiting.clear()

    async def _run(self) -> None:
        await asyncio.sleep(0)  # calls of the same turn of the loop go together
        while batch := self._next():
            try:
                results = await self._work([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - the callers get it
                _fail(batch, error)
            except asyncio.CancelledError:
                _fail(batch, LedgerUnavailable(_CLOSED))
                raise
            else:
                self._deliver(batch, results)
        self._task = None

    def _next(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        size = 0
        while self._waiting and len(batch) < self._calls:
            item, result = self._waiting[0]
            size += self._weight(item)
            if batch and size > self._most_bytes:
                break
            self._waiting.popleft()
            if not result.done():  # else its caller has gone
                batch.append((item, result))
        return batch

    def _deliver(self, batch: list[tuple[Item, asyncio.Future[Result]]], results: Sequence[Result]) -> None:
        for (item, future), result in zip(batch, results, strict=True):
            if future.done():
                self._unheard(item, result)
            else:
                future.set_result(result)


def _fail(calls: Iterable[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
    for _, result in calls:
        if not result.done():
            result.set_exception(error)
