"""The sweeps of a folder of responses: one at a time, on a thread, now and then, and sooner where room is needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from trickleweb.stores.response_room import Counted

_EVERY_S, _SHARE = 1.0, 20  # sweeps that nothing asks for may take a twentieth of the time
_LACKING_SHARE, _MOST_PAUSE_S = 4, 1.0  # others a fifth; but a client waits for one


class Sweeps:
    """Calls `sweep` on a thread, and `note` with each result; a sweep that fails has none."""

    def __init__(
        self, sweep: Callable[[], Counted], note: Callable[[Counted], None], threads: ThreadPoolExecutor
    ) -> None:
        self._sweep = sweep
        self._note = note
        self._threads = threads
        self._task: asyncio.Task[None] | None = None
        self._begun = self._ended = 0
        self._due_s = self._soonest_s = 0.0
        self._closed = False

    def first(self) -> None:
        """Sweep at once, without a thread."""
        self._made(self._swept())

    def look(self) -> None:
        """Begin a sweep if one is due."""
        if self._task is None and not self._closed and time.monotonic() >= self._due_s:
            self._start()

    async def fresh(self) -> None:
        """Return after a sweep that began after this call; at once when the store is closed."""
        wanted = self._begun + 1
        while self._ended < wanted and not self._closed:
            await asyncio.wait([self._task or self._start()])

    def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> asyncio.Task[None]:
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self._task

    async def _run(self) -> None:
        try:
            await asyncio.sleep(self._soonest_s - time.monotonic())
            self._begun += 1
            self._made(await asyncio.get_running_loop().run_in_executor(self._threads, self._swept))
        finally:
            self._task, self._ended = None, self._begun

    def _swept(self) -> tuple[Counted | None, float]:
        """Return the result of a sweep, and the seconds it took."""
        began = time.monotonic()
        try:
            found = self._sweep()
        except OSError:
            return None, 0.0
        return found, time.monotonic() - began

    def _made(self, made: tuple[Counted | None, float]) -> None:
        found, took_s = made
        now = time.monotonic()
        self._due_s = now + max(_EVERY_S, _SHARE * took_s)
        self._soonest_s = now + min(_LACKING_SHARE * took_s, _MOST_PAUSE_S)
        if found is not None:
            self._note(found)
