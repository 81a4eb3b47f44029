"""Tasks that wait for news of topics or responses, on any loops: one future a task, whatever their number."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Generic, TypeVar

_Woken = asyncio.Future[None]
Name = TypeVar("Name", str, bytes)


class Waiters(Generic[Name]):
    """Futures by name. Ask for one before looking at the store, so that no news between the two is lost."""

    def __init__(self) -> None:
        self._waiting: dict[Name, set[_Woken]] = {}
        self._lock = Lock()

    @property
    def any(self) -> bool:
        """True if there is a waiting task."""
        return bool(self._waiting)

    def has(self, name: Name) -> bool:
        """Return True while a task waits for that name."""
        return name in self._waiting

    async def wait(self, name: Name) -> None:
        """Return after the next `wake` of that name; begin it without a pause after looking at the store."""
        with self.waiting((name,)) as woken:
            await woken

    @contextmanager
    def waiting(self, names: Iterable[Name]) -> Iterator[_Woken]:
        """Yield a future of the running loop that is done after the next `wake` of one of the names."""
        names = set(names)
        woken: _Woken = asyncio.get_running_loop().create_future()
        with self._lock:
            for name in names:
                self._waiting.setdefault(name, set()).add(woken)
        try:
            yield woken
        finally:
            with self._lock:
                for name in names:
                    waiting = self._waiting[name]
                    waiting.discard(woken)
                    if not waiting:
                        del self._waiting[name]

    def wake(self, names: Iterable[Name]) -> None:
        """Wake the tasks that wait for one of the names; callable on any thread."""
        with self._lock:
            woken = [each for name in names for each in self._waiting.get(name, ())]
        for each in woken:
            with suppress(RuntimeError):  # its loop is closed
                each.get_loop().call_soon_threadsafe(_done, each)

    def wake_all(self) -> None:
        with self._lock:
            names = list(self._waiting)
        self.wake(names)


def _done(woken: _Woken) -> None:
    if not woken.done():
        woken.set_result(None)
