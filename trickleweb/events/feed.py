"""The latest events of one source, read once in a process for all streams of it.

A feed follows its source: one task waits for news, whatever the number of streams, encodes each event once, and calls
its listeners. It keeps a window of the latest events. A stream whose last id is in the window takes what follows from
memory; any other reads pages of the source itself, until its id is in the window.

 idle       no listener, no task; the window is as it was
 following  the task waits for events after `tail`, the id of the last one in the window

A window begins at `tail` when a stream has read up to the end of its source. After a gap the window is dropped, and all
streams read on by themselves: each gets the gap in its own place. A source that fails is asked again some times; then
the window is dropped too, and each stream that reads for itself gets the error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from trickleweb.bodies.events import EventGap, EventSource
from trickleweb.plain import Plain

PAGE_EVENTS = 256  # read at once
_WINDOW_EVENTS, _WINDOW_BYTES = 1024, 1 << 20  # others read the source
_RETRIES, _RETRY_S = 5, 1.0

Listener = Callable[[], None]


class Encoded(NamedTuple):
    """An event's id, and its bytes as sent."""

    id: str
    data: bytes


class Feed:
    """A source with arguments, both together its `subject`; of one event loop."""

    def __init__(self, source: EventSource, args: dict[str, Plain], subject: bytes = b"") -> None:
        self.subject = subject
        self.loop = asyncio.get_running_loop()
        self._source = source
        self._args = args
        self._ended = False  # the source ends after the window
        self._ids: list[str] = []  # that of the event before the window first, or empty
        self._window: list[Encoded] = []
        self._window_bytes = 0
        self._listeners: dict[Listener, None] = {}
        self._following: asyncio.Task[None] | None = None

    def after(self, known: str) -> tuple[list[Encoded], bool] | None:
        """Return the events after that id, and whether there will never be others; None if the window lacks it."""
        ids = self._ids
        if not ids:
            return None
        if ids[-1] == known:
            return [], self._ended
        for back in range(len(ids) - 2, -1, -1):  # most streams are near the end
            if ids[back] == known:
                return self._window[back:], self._ended
        return None

    async def read(self, known: str) -> tuple[list[Encoded], bool]:
        """Return a page of events after any id, and whether they are the last ones; raise what the source raises."""
        page = await self._source.read(known, PAGE_EVENTS, **self._args)
        found = [Encoded(each.id, each.encode()) for each in page.events]
        if not found and not self._ids:
            self._ids, self._ended = [known], page.ended
            self._start()
        return found, page.ended

    def listen(self, listener: Listener) -> None:
        """Call `listener` at each change, until `leave`."""
        self._listeners[listener] = None
        self._start()

    def leave(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)
        if not self._listeners and self._following is not None:
            self._following.cancel()
            self._following = None

    def _start(self) -> None:
        if self._following is None and self._listeners and self._ids and not self._ended:
            self._following = self.loop.create_task(self._follow())

    async def _follow(self) -> None:
        """Keep the window at the end of the source."""
        failures = 0
        while not self._ended and self._ids:
            try:
                await self._source.wait(self._ids[-1], **self._args)
                found, self._ended = await self.read(self._ids[-1])
                failures = 0
            except EventGap:
                self._drop()
            except Exception:  # noqa: BLE001 - a store may be away for a moment
                failures += 1
                if failures > _RETRIES:
                    self._drop()
                await asyncio.sleep(_RETRY_S)
            else:
                self._add(found)
            self._call()
        self._following = None

    def _add(self, found: list[Encoded]) -> None:
        self._window += found
        self._ids += [each.id for each in found]
        self._window_bytes += sum(len(each.data) for each in found)
        surplus = 0
        while len(self._window) - surplus > _WINDOW_EVENTS or self._window_bytes > _WINDOW_BYTES:
            self._window_bytes -= len(self._window[surplus].data)
            surplus += 1
        del self._window[:surplus], self._ids[:surplus]

    def _drop(self) -> None:
        self._ids, self._window, self._window_bytes = [], [], 0

    def _call(self) -> None:
        for each in list(self._listeners):
            each()
