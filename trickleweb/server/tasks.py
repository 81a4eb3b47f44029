"""Named tasks, bounded in number, whose results become replies and whose errors become refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from trickles.service import Deferred, Refusal, Reply
from trickleweb.server.errors import Busy, refusal_of, reported

T = TypeVar("T")
Answer = Reply | Deferred


class TaskTable:
    """Running tasks, at most `most`; `on_error` gets errors for operators.

    Early ones, of clients with unvalidated addresses, get at most half of the places: one attacker can forge many.
    """

    def __init__(self, most: int, on_error: Callable[[Exception], None]) -> None:
        self._most = most
        self._on_error = on_error
        self._closing = False
        self._tasks: dict[object, asyncio.Task[Any]] = {}
        self._evicted: set[asyncio.Task[Any]] = set()
        self._early: set[object] = set()  # names
        self._owned: dict[bytes, dict[object, None]] = {}  # names by connection

    def __len__(self) -> int:
        return len(self._tasks)

    def find(self, name: object) -> asyncio.Task[Any] | None:
        return self._tasks.get(name)

    def task(
        self,
        name: object,
        make: Callable[[], Coroutine[Any, Any, T]],
        *,
        early: bool = False,
        owner: bytes | None = None,
    ) -> asyncio.Task[T]:
        """Return the task of that name, started by `make` if necessary; raise `Busy` if too many run.

        It ends when its `owner`, a connection, has left.
        """
        known = self._tasks.get(name)
        if known is not None:
            return known
        if len(self._tasks) >= self._most or (early and len(self._early) >= self._most // 2):
            raise Busy
        task = asyncio.get_running_loop().create_task(make())
        self._tasks[name] = task
        if early:
            self._early.add(name)
        if owner is not None:
            self._owned.setdefault(owner, {})[name] = None
        task.add_done_callback(lambda task: self._over(name, task, owner))
        return task

    def _over(self, name: object, task: asyncio.Task[Any], owner: bytes | None) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
            self._early.discard(name)
            if owner is not None:
                self._disown(owner, name)

    def _disown(self, owner: bytes, name: object) -> None:
        names = self._owned.get(owner, {})
        names.pop(name, None)
        if not names:
            self._owned.pop(owner, None)

    def left(self, owner: bytes) -> None:
        """Cancel the tasks of a connection whose client has left; if it has not, it asks again."""
        for name in self._owned.pop(owner, ()):
            self.evict(name)

    def evict(self, name: object) -> None:
        """Cancel the task of that name to make room; its clients ask again."""
        task = self._tasks.pop(name, None)
        self._early.discard(name)
        if task is not None:
            self._evicted.add(task)
            task.add_done_callback(self._evicted.discard)  # after the callbacks that read it
            task.cancel()

    def reply(self, task: asyncio.Task[T], then: Callable[[T], Answer]) -> Deferred:
        """Return the reply that `then` makes of the task's result, or the refusal for its exception."""
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
        """Cancel all tasks; their clients are refused and ask again."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, make: Callable[[], Answer]) -> Answer:
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - the client must get a reply
            if (fault := reported(error)) is not None:
                self._on_error(fault)
            return refusal_of(error)

    def _cancelled(self, task: asyncio.Task[Any]) -> Reply:
        """Return the refusal for a cancelled task: BUSY at the end or after eviction, else GONE, by the application."""
        return Reply(refusal=Refusal.BUSY if self._closing or task in self._evicted else Refusal.GONE)
