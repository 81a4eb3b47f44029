"""Replies that come later: tasks by name, so many at once; and what a client is told when something goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from trickles.errors import InputLost
from trickles.service import Deferred, Refusal, Reply
from trickleweb.bodies import StateRefused
from trickleweb.files import ContentNotHere, FilesUnavailable, HashPending
from trickleweb.ledger import LedgerUnavailable, OtherLedger
from trickleweb.origin.program.live import StreamBroke, StreamFailed
from trickleweb.origin.program.tape import TapeCut
from trickleweb.origin.response import NotThisResponse

T = TypeVar("T")
Answer = Reply | Deferred
_AGAIN = (HashPending, LedgerUnavailable, TapeCut)
_ELSEWHERE = (ContentNotHere, FilesUnavailable, NotThisResponse, StateRefused, OSError)


class Busy(Exception):
    """Too much is under way: the client asks again, here or elsewhere."""


class Work:
    """Tasks under way, at most `most` at once; `on_error` is told what nobody expected."""

    def __init__(self, most: int, on_error: Callable[[Exception], None]) -> None:
        self._most = most
        self._on_error = on_error
        self._closing = False
        self._tasks: dict[object, asyncio.Task[Any]] = {}
        self._turned_out: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def find(self, name: object) -> asyncio.Task[Any] | None:
        """What runs under that name."""
        return self._tasks.get(name)

    def task(self, name: object, make: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """What runs under that name, or what `make` starts; `Busy` if too much runs."""
        known = self._tasks.get(name)
        if known is not None:
            return known
        if len(self._tasks) >= self._most:
            raise Busy
        task = asyncio.get_running_loop().create_task(make())
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))
        return task

    def turn_out(self, name: object) -> None:
        """End what runs under that name, so that there is room for another; who waits for it asks again."""
        task = self._tasks.pop(name, None)
        if task is not None:
            self._turned_out.add(task)
            task.add_done_callback(self._turned_out.discard)  # after those that look there
            task.cancel()

    def reply(self, task: asyncio.Task[T], then: Callable[[T], Answer]) -> Deferred:
        """The reply that `then` makes of what the task gives."""
        deferred = Deferred()

        def done(task: asyncio.Task[T]) -> None:
            made = self._cancelled(task) if task.cancelled() else self.safely(lambda: then(task.result()))
            if isinstance(made, Deferred):
                made.on_reply(deferred.resolve)
            else:
                deferred.resolve(made)

        task.add_done_callback(done)
        return deferred

    def safely(self, make: Callable[[], Answer], *, early: bool = False) -> Answer:
        """What `make` gives, or the refusal for what it raises. Early, a client cannot be told to come again."""
        try:
            return make()
        except Busy:
            return _again(early=early)
        except _AGAIN as error:
            if isinstance(error, LedgerUnavailable):
                self._on_error(error)
            return _again(early=early)
        except OtherLedger as error:
            self._on_error(error)
            return Reply(refusal=Refusal.NOT_HERE)
        except (InputLost, *_ELSEWHERE) as error:
            return Reply(refusal=Refusal.INPUT_LOST if isinstance(error, InputLost) else Refusal.NOT_HERE)
        except (StreamBroke, StreamFailed) as error:
            if isinstance(error.__cause__, Exception):
                self._on_error(error.__cause__)
            if isinstance(error, StreamBroke):
                return Reply(refusal=Refusal.NOT_HERE)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is not left to wait
            self._on_error(error)
        return Reply(refusal=Refusal.GONE)

    def _cancelled(self, task: asyncio.Task[Any]) -> Reply:
        """A task is cancelled when all end or it must make room; or a program did that, and would do it again."""
        return Reply(refusal=Refusal.BUSY if self._closing or task in self._turned_out else Refusal.GONE)

    async def close(self) -> None:
        """End all of it; who waits for a reply is told to ask again."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _again(*, early: bool) -> Reply:
    return Reply() if early else Reply(refusal=Refusal.BUSY)
