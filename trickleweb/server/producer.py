"""Make one body ahead of what is asked for, within bounds, into a buffer that can be read while it is made.

A producer runs the parts of one body (`bodies.iteration`) in a task, the pump. Its states:

    making    the pump fetches parts until `ahead_bytes` lie beyond what was wanted, then waits for `want`
    ended     all of the body is made: `buffer.stop` is its length
    failed    the program's generator raised: `failure` is its error, the buffer holds what came before
    closed    evicted, or nobody seemed to want it: `failure` is `ProducerClosed`, the buffer is empty

`over` is ended or failed. Whatever follows a failure or a close is made by another producer, here or on another
replica, from a cursor or by running the request again: a producer is soft state, and what it lost costs time only.

Marks are the ends of steps with their cursors: a stepped body can be resumed at a mark and nowhere else. They are
bounded by count, since steps may be tiny, and are dropped with the bytes before them. What lies from an offset that is
`held` on is never dropped: somebody verifies a range there.

There is no queue between the pump and readers, as each reader has its own place: `news` wakes all that wait, and one
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

LEAST_BYTES = 1 << 16  # of both together, where there is little room
_TURN_BYTES = 1 << 18  # then others get their turn
_PART_BYTES = 1 << 9  # what a part costs besides its bytes: many small ones are a turn too


class ProducerClosed(Exception):
    """There was no room to go on making the body, or nobody seemed to want it: make it anew."""


class Producer:
    """`buffer` holds what was made; `ended` and `failure` say how it went on, `cursor` what is behind each step.

    One that is `closed` says no more about the body. `room` gives how many bytes it may keep, as that changes.
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
        """Nothing more will be made."""
        return self.ended or self.failure is not None

    def cursor(self, offset: int) -> tuple[int, Plain]:
        """The last step's end at or below `offset`, and the cursor there; `Evicted` if it is not kept any more."""
        at = bisect_right(self._mark_offsets, offset) - 1
        if at < 0:
            raise Evicted
        return self._mark_offsets[at], self._mark_cursors[at]

    @property
    def stepped_to(self) -> int:
        """The end of the last step."""
        return self._mark_offsets[-1]

    def want(self, offset: int) -> None:
        """Somebody asks for what lies below `offset`."""
        if offset > self._wanted:
            self._wanted = offset
            self._more.set()
            self._forget()

    @contextmanager
    def holding(self, offset: int) -> Iterator[None]:
        """Keep what lies from `offset` on, meanwhile."""
        self._held.append(offset)
        try:
            yield
        finally:
            self._held.remove(offset)

    async def news(self) -> None:
        """Wait until more was made, or nothing more will be."""
        told = self._loop.create_future()
        self._waiters.add(told)
        try:
            await told
        finally:
            self._waiters.discard(told)

    def close(self) -> None:
        """Make no more and keep nothing; whoever waits is told."""
        self.closed = True
        self.failure = self.failure or ProducerClosed()
        self._pump.cancel()
        self.buffer.clear()
        del self._mark_offsets[:-1], self._mark_cursors[:-1]
        self._tell()

    async def wait_closed(self) -> None:
        """Wait for the end of all that it did."""
        with suppress(asyncio.CancelledError):
            await self._pump

    async def _run(self) -> None:
        try:
            await self._make()
            self.ended = True
        except Exception as error:  # noqa: BLE001 - whatever a program does, its stream ends there for all to see
            self.failure = self.failure or error
        except asyncio.CancelledError:
            self.failure = self.failure or ProducerClosed()
            raise
        finally:
            self._tell()
            with suppress(Exception):  # its last words change nothing
                await self._parts.aclose()

    async def _make(self) -> None:
        buffer, turn = self.buffer, 0
        async for data, cursor, step in self._parts:
            if data:
                buffer.append(data)
            if step:
                self._mark(cursor)
            if self._waiters:
                self._loop.call_soon(self._tell)
            turn += len(data) + _PART_BYTES
            if turn >= _TURN_BYTES:
                turn = 0
                self._forget()
                await asyncio.sleep(0)
            while self._is_ahead():
                self._more.clear()
                await self._more.wait()

    def _mark(self, cursor: Plain) -> None:
        """Note the end of a step; one without data only moves the cursor on, but not that of the very beginning."""
        if self.buffer.stop > self._mark_offsets[-1]:
            self._mark_offsets.append(self.buffer.stop)
            self._mark_cursors.append(cursor)
        elif len(self._mark_offsets) > 1:
            self._mark_cursors[-1] = cursor
        most = self._limits.marks
        if len(self._mark_offsets) > 3 * most:
            del self._mark_offsets[:most], self._mark_cursors[:most]

    def _is_ahead(self) -> bool:
        """True if enough is made of what nobody has asked for."""
        ahead = self.buffer.stop - self._wanted
        if ahead >= LEAST_BYTES // 4 and ahead >= min(self._limits.ahead_bytes, self.room() // 4):
            return True
        marks, most = self._mark_offsets, self._limits.marks
        return len(marks) > most and marks[-most] > self._wanted

    def _forget(self) -> None:
        """Keep no more than what may be asked for again, and the cursors there."""
        behind = min(self._limits.behind_bytes, self.room() * 3 // 4)
        kept_from = min((min(self._wanted, self.buffer.stop) - behind, *self._held))
        if kept_from > self.buffer.start:
            self.buffer.drop_below(kept_from)
            at = max(bisect_right(self._mark_offsets, self.buffer.start) - 1, 0)
            del self._mark_offsets[:at], self._mark_cursors[:at]

    def _tell(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for each in waiters:
            if not each.done():
                each.set_result(None)
