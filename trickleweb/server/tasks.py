"""Named tasks, bounded in number, whose results become replies and whose errors become refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from trickles.service import Deferred, Refusal, Reply
from trickleweb.containment import Contained
from trickleweb.server.errors import Busy, refusal_of, reported

T = TypeVar("T")
Answer = Reply | Deferred
_CONTAINED = Contained("a request")


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

    def start(self, name: object, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start the task of that name by `make`, unless it runs; raise `Busy` if too many run."""
        if name not in self._tasks:
            self._started(name, make).add_done_callback(partial(self._over, name, None))

    def answer(
        self,
        name: object,
        make: Callable[[], Coroutine[Any, Any, T]],
        then: Callable[[T], Answer],
        *,
        early: bool = False,
        owner: bytes | None = None,
    ) -> Deferred:
        """Return the reply that `then` makes of the result of the task of that name, started by `make` if necessary.

        Raise `Busy` if too many run. The task ends when its `owner`, a connection, has left.
        """
        known = self._tasks.get(name)
        if known is not None:
            return self.reply(known, then)

        def over(task: asyncio.Task[T]) -> None:
            self._over(name, owner, task)
            self._settle(deferred, then, task)

        task = self._started(name, make, early=early)
        if early:
            self._early.add(name)
        if owner is not None:
            self._owned.setdefault(owner, {})[name] = None
        task.add_done_callback(over)
        deferred = Deferred()
        return deferred

    def reply(self, task: asyncio.Task[T], then: Callable[[T], Answer]) -> Deferred:
        """Return the reply that `then` makes of the result of a running task, or the refusal for its exception."""
        deferred = Deferred()
        task.add_done_callback(partial(self._settle, deferred, then))
        return deferred

    def _started(
        self, name: object, make: Callable[[], Coroutine[Any, Any, T]], *, early: bool = False
    ) -> asyncio.Task[T]:
        if len(self._tasks) >= self._most or (early and len(self._early) >= self._most // 2):
            raise Busy
        task = self._tasks[name] = asyncio.get_running_loop().create_task(make())
        return task

    def _over(self, name: object, owner: bytes | None, task: asyncio.Task[Any]) -> None:
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

    @property
    def running(self) -> list[asyncio.Task[Any]]:
        return list(self._tasks.values())

    def left_all(self) -> None:
        """Cancel all tasks with an owner; their clients ask again."""
        for owner in list(self._owned):
            self.left(owner)

    def evict(self, name: object) -> None:
        """Cancel the task of that name to make room; its clients ask again."""
        task = self._tasks.pop(name, None)
        self._early.discard(name)
        if task is not None:
            self._evicted.add(task)
            task.add_done_callback(self._evicted.discard)  # after the callbacks that read it
            task.cancel()

    def _settle(self, deferred: Deferred, then: Callable[[T], Answer], task: asyncio.Task[T]) -> None:
        made = self._cancelled(task) if task.cancelled() else self._answer(then, task)
        if isinstance(made, Deferred):
            made.then(deferred.resolve)
        else:
            deferred.resolve(made)

    async def close(self) -> None:
        """Cancel all tasks; their clients are refused and ask again."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, then: Callable[[T], Answer], task: asyncio.Task[T]) -> Answer:
        try:
            with _CONTAINED:
                return then(task.result())
        except Exception as error:  # noqa: BLE001 - the client must get a reply
            if (fault := reported(error)) is not None:
                self._on_error(fault)
            return refusal_of(error)

    def _cancelled(self, task: asyncio.Task[Any]) -> Reply:
        """Return the refusal for a cancelled task: BUSY at the end or after eviction, else GONE, by the application."""
        return Reply(refusal=Refusal.BUSY if self._closing or task in self._evicted else Refusal.GONE)
