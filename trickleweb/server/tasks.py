"""Tasks by name, so many at once, whose results become replies; and the one place where errors become refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from trickles.service import Deferred, Refusal, Reply
from trickleweb.server.errors import Busy, refusal_of, reported

T = TypeVar("T")
Answer = Reply | Deferred


class TaskTable:
    """Tasks under way, at most `most` at once; `on_error` gets what operators should see.

    Early ones, for clients whose addresses are not proved, get half of the places at most: anybody can be many of them.
    """

    def __init__(self, most: int, on_error: Callable[[Exception], None]) -> None:
        self._most = most
        self._on_error = on_error
        self._closing = False
        self._tasks: dict[object, asyncio.Task[Any]] = {}
        self._turned_out: set[asyncio.Task[Any]] = set()
        self._early: set[object] = set()  # names

    def __len__(self) -> int:
        return len(self._tasks)

    def find(self, name: object) -> asyncio.Task[Any] | None:
        """The task of that name, None if there is none."""
        return self._tasks.get(name)

    def task(self, name: object, make: Callable[[], Coroutine[Any, Any, T]], *, early: bool = False) -> asyncio.Task[T]:
        """The task of that name, or the one that `make` starts; `Busy` if too many run."""
        known = self._tasks.get(name)
        if known is not None:
            return known
        if len(self._tasks) >= self._most or (early and len(self._early) >= self._most // 2):
            raise Busy
        task = asyncio.get_running_loop().create_task(make())
        self._tasks[name] = task
        if early:
            self._early.add(name)
        task.add_done_callback(lambda _: self._over(name))
        return task

    def _over(self, name: object) -> None:
        self._tasks.pop(name, None)
        self._early.discard(name)

    def turn_out(self, name: object) -> None:
        """End the task of that name, so that there is room for another; who waits for it asks again."""
        task = self._tasks.pop(name, None)
        if task is not None:
            self._turned_out.add(task)
            task.add_done_callback(self._turned_out.discard)  # after those that look there
            task.cancel()

    def reply(self, task: asyncio.Task[T], then: Callable[[T], Answer]) -> Deferred:
        """The reply that `then` makes of the task's result, or the refusal for what is raised."""
        deferred = Deferred()

        def done(task: asyncio.Task[T]) -> None:
            made = self._cancelled(task) if task.cancelled() else self._answer(lambda: then(task.result()))
            if isinstance(made, Deferred):
                made.on_reply(deferred.resolve)
            else:
                deferred.resolve(made)

        task.add_done_callback(done)
        return deferred

    async def close(self) -> None:
        """End all of it; who waits for a reply is told to ask again."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, make: Callable[[], Answer]) -> Answer:
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is not left to wait
            if (fault := reported(error)) is not None:
                self._on_error(fault)
            return refusal_of(error)

    def _cancelled(self, task: asyncio.Task[Any]) -> Reply:
        """A task is cancelled when all end or it must make room; or a program did that, and would do it again."""
        return Reply(refusal=Refusal.BUSY if self._closing or task in self._turned_out else Refusal.GONE)
