"""Make one body ahead of requests, within bounds, into a buffer that can be read while it is made.

A producer runs the parts of one body (`bodies.iteration`) in a task, the pump. Its states:

 making  the pump fetches parts until `ahead_bytes` lie beyond the wanted offset, then waits for `want`
 ended   all of the body is made: `buffer.stop` is its length
 failed  the application's generator raised: `failure` is its error, the buffer holds the bytes before it
 closed  evicted, or without requests: `failure` is `ProducerClosed`, the buffer is empty

`over` is ended or failed. After a failure or a close another producer makes the body, here or on another replica, from
a cursor or by running the request again: a producer is soft state, and losing it costs time only.

Marks are the ends of steps with their cursors: a stepped body can be resumed at a mark and nowhere else. They are
bounded by count, since steps may be tiny, and are dropped with the bytes before them. Bytes from a `held` offset on are
never dropped: a range there is being verified.

There is no queue between the pump and readers, as each reader has its own position: `news` wakes all readers, and one
wake-up serves all parts of a turn of the loop (`call_soon`), since parts may be tiny.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from trickleweb.bodies.iteration import Parts
from trickleweb.plain import Plain
from trickleweb.server.buffer import BodyBuffer
from trickleweb.server.errors import Evicted
from trickleweb.server.limits import DEFAULT_STREAM_LIMITS, StreamLimits

LEAST_BYTES = 1 << 16  # kept at least, where there is little room
_TURN_BYTES = 1 << 18  # then other tasks run
_PART_BYTES = 1 << 9  # cost of a part besides its bytes


class ProducerClosed(Exception):
    """The body was evicted, or had no requests: make it again."""


class Producer:
    """`buffer` holds the bytes made; `ended` and `failure` are its end, `cursor` has the cursors between steps.

    A `closed` one knows no more about the body. `room` returns the number of bytes it may keep now.
    """

    def __init__(
        self, parts: Parts, origin: int = 0, cursor: Plain = None, limits: StreamLimits = DEFAULT_STREAM_LIMITS
    ) -> None:
        self._limits = limits
        self.buffer = BodyBuffer(origin)
        self.ended = self.closed = False
        self.failure: Exception | None = None
        self.room: Callable[[], int] = lambda: 2 * (limits.ahead_bytes + limits.behind_bytes)
        self._parts = parts
        self._wanted = origin
        self._held: list[int] = []
        self._mark_offsets, self._mark_cursors = [origin], [cursor]
        self._waiters: set[asyncio.Future[None]] = set()
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pump = self._loop.create_task(self._run())

    @property
    def over(self) -> bool:
        """True if no more bytes will be made."""
        return self.ended or self.failure is not None

    def cursor(self, offset: int) -> tuple[int, Plain]:
        """Return the last step's end at or below `offset`, and the cursor there; raise `Evicted` if it is dropped."""
        at = bisect_right(self._mark_offsets, offset) - 1
        if at < 0:
            raise Evicted
        return self._mark_offsets[at], self._mark_cursors[at]

    @property
    def stepped_to(self) -> int:
        return self._mark_offsets[-1]

    def want(self, offset: int) -> None:
        """Request the bytes below `offset`."""
        if offset > self._wanted:
            self._wanted = offset
            self._more.set()
            self._forget()

    @contextmanager
    def holding(self, offset: int) -> Iterator[None]:
        """Keep the bytes from `offset` on within the block."""
        self._held.append(offset)
        try:
            yield
        finally:
            self._held.remove(offset)

    async def news(self) -> None:
        """Wait until more is made, or the end."""
        woken = self._loop.create_future()
        self._waiters.add(woken)
        try:
            await woken
        finally:
            self._waiters.discard(woken)

    def close(self) -> None:
        """Stop, drop everything, and wake all waiters."""
        self.closed = True
        self.failure = self.failure or ProducerClosed()
        self._pump.cancel()
        self.buffer.clear()
        del self._mark_offsets[:-1], self._mark_cursors[:-1]
        self._wake()

    async def wait_closed(self) -> None:
        """Wait for the end of its task."""
        with suppress(asyncio.CancelledError):
            await self._pump

    async def _run(self) -> None:
        try:
            await self._make()
            self.ended = True
        except Exception as error:  # noqa: BLE001 - any exception of an application ends the stream with an error
            self.failure = self.failure or error
        except asyncio.CancelledError:
            self.failure = self.failure or ProducerClosed()
            raise
        finally:
            self._wake()
            with suppress(Exception):  # errors of closing are irrelevant
                await self._parts.aclose()

    async def _make(self) -> None:
        buffer, turn = self.buffer, 0
        async for data, cursor, step in self._parts:
            if data:
                buffer.append(data)
            if step:
                self._mark(cursor)
            if self._waiters:
                self._loop.call_soon(self._wake)
            turn += len(data) + _PART_BYTES
            if turn >= _TURN_BYTES:
                turn = 0
                self._forget()
                await asyncio.sleep(0)
            while self._is_ahead():
                self._more.clear()
                await self._more.wait()

    def _mark(self, cursor: Plain) -> None:
        """Note the end of a step; an empty one only replaces the cursor, but not that of the very beginning."""
        if self.buffer.stop > self._mark_offsets[-1]:
            self._mark_offsets.append(self.buffer.stop)
            self._mark_cursors.append(cursor)
        elif len(self._mark_offsets) > 1:
            self._mark_cursors[-1] = cursor
        most = self._limits.marks
        if len(self._mark_offsets) > 3 * most:
            del self._mark_offsets[:most], self._mark_cursors[:most]

    def _is_ahead(self) -> bool:
        """Return whether enough is made beyond the requested bytes."""
        ahead = self.buffer.stop - self._wanted
        if ahead >= LEAST_BYTES // 4 and ahead >= min(self._limits.ahead_bytes, self.room() // 4):
            return True
        marks, most = self._mark_offsets, self._limits.marks
        return len(marks) > most and marks[-most] > self._wanted

    def _forget(self) -> None:
        """Drop bytes and cursors that will not be requested again."""
        behind = min(self._limits.behind_bytes, self.room() * 3 // 4)
        kept_from = min((min(self._wanted, self.buffer.stop) - behind, *self._held))
        if kept_from > self.buffer.start:
            self.buffer.drop_below(kept_from)
            at = max(bisect_right(self._mark_offsets, self.buffer.start) - 1, 0)
            del self._mark_offsets[:at], self._mark_cursors[:at]

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for each in waiters:
            if not each.done():
                each.set_result(None)
