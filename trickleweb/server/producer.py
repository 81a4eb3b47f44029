"""Make one body ahead of requests, within bounds, into a buffer that can be read while it is made.

A producer gets the parts of one body from its pump: a task that iterates them (`PartsPump`), or, for event streams, a
listener without a task (`live`). Its states:

 making  the pump puts parts until `ahead_bytes` lie beyond the wanted offset (`is_ahead`), and goes on after `want`
 ended   all of the body is made: `buffer.stop` is its length
 failed  the application's generator raised: `failure` is its error, the buffer holds the bytes before it
 closed  evicted, or without requests: `failure` is `ProducerClosed`, the buffer is empty

`over` is ended or failed. After a failure or a close another producer makes the body, here or on another replica, from
a cursor or by running the request again: a producer is soft state, and losing it costs time only.

Marks are the ends of steps with their cursors: a stepped body can be resumed at a mark and nowhere else. They are
bounded by count, since steps may be tiny, and are dropped with the bytes before them. Bytes from a `held` offset on are
never dropped: a range there is being verified. A fence is a mark at which a range must end, since the step after it
comes by the clock: see `events.reading`.

There is no queue between the pump and readers, as each reader has its own position: all readers are called at any
news, and one call serves all parts of a turn of the loop (`call_soon`), since parts may be tiny.
"""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from trickles.service import Heartbeat
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


class Pump(Protocol):
    """The source of a producer's parts. It may keep fewer bytes than the limits allow: 0 for as many as they do."""

    behind_bytes: int
    block_bytes: int
    heartbeat: Heartbeat | None  # of a client that waits for more

    def start(self, producer: Producer) -> None: ...

    def more(self) -> None:
        """Go on: more was requested."""

    def close(self) -> None: ...

    async def wait_closed(self) -> None: ...


class Producer:
    """`buffer` holds the bytes made; `ended` and `failure` are its end, `cursor` has the cursors between steps.

    A `closed` one knows no more about the body. `room` returns the number of bytes it may keep now.
    """

    def __init__(
        self, pump: Pump, origin: int = 0, cursor: Plain = None, limits: StreamLimits = DEFAULT_STREAM_LIMITS
    ) -> None:
        self._limits = limits
        self.buffer = BodyBuffer(origin, pump.block_bytes)
        self.heartbeat = pump.heartbeat
        self.ended = self.closed = False
        self.failure: Exception | None = None
        self.room: Callable[[], int] = lambda: 2 * (limits.ahead_bytes + limits.behind_bytes)
        self._wanted = origin
        self._held: list[int] = []
        self._mark_offsets, self._mark_cursors = [origin], [cursor]
        self._fences: list[int] = []
        self._readers: dict[Callable[[], None], None] = {}
        self._calling = False  # in this turn of the loop
        self._loop = asyncio.get_running_loop()
        self._pump = pump
        pump.start(self)

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
            self.forget()
            self._pump.more()

    def hold(self, offset: int) -> None:
        """Keep the bytes from `offset` on until `let_go`."""
        self._held.append(offset)

    def let_go(self, offset: int) -> None:
        """Undo one `hold` of that offset."""
        self._held.remove(offset)

    def listen(self, reader: Callable[[], None]) -> None:
        """Call `reader` when more is made, and at the end, until it leaves."""
        self._readers[reader] = None

    def leave(self, reader: Callable[[], None]) -> None:
        """Do not call `reader` any more."""
        self._readers.pop(reader, None)

    async def news(self) -> None:
        """Wait until more is made, or the end."""
        woken = asyncio.Event()
        self.listen(woken.set)
        try:
            await woken.wait()
        finally:
            self.leave(woken.set)

    def close(self) -> None:
        """Stop, drop everything, and call all readers."""
        self.closed = True
        self.failure = self.failure or ProducerClosed()
        self._pump.close()
        self.buffer.clear()
        del self._mark_offsets[:-1], self._mark_cursors[:-1]
        self._wake()

    async def wait_closed(self) -> None:
        """Wait for the end of its work."""
        await self._pump.wait_closed()

    # For the pump

    def put(self, data: bytes, cursor: Plain, *, step: bool = True) -> None:
        """Append a part, and wake the readers in this turn of the loop."""
        if data:
            self.buffer.append(data)
        if step:
            self._mark(cursor)
        if self._readers and not self._calling:
            self._calling = True
            self._loop.call_soon(self._wake)

    def fence(self, cursor: Plain) -> None:
        """End a range here; `cursor` leads to the step that comes next."""
        if self.buffer.stop > self._mark_offsets[-1]:
            self._mark(cursor)
        self._mark_cursors[-1] = cursor
        self._fences.append(self.buffer.stop)

    def end(self, failure: Exception | None = None) -> None:
        """Note that no more parts come."""
        if failure is None:
            self.ended = True
        self.failure = self.failure or failure
        self._wake()

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

    @property
    def is_ahead(self) -> bool:
        """True if enough is made beyond the requested bytes."""
        ahead = self.buffer.stop - self._wanted
        if ahead >= LEAST_BYTES // 4 and ahead >= min(self._limits.ahead_bytes, self.room() // 4):
            return True
        marks, most = self._mark_offsets, self._limits.marks
        return len(marks) > most and marks[-most] > self._wanted

    def fence_after(self, offset: int) -> int:
        """Return where a range from `offset` on must end."""
        at = bisect_right(self._fences, offset)
        return self._fences[at] if at < len(self._fences) else sys.maxsize

    def forget(self) -> None:
        """Drop bytes and cursors that will not be requested again."""
        behind = min(self._pump.behind_bytes or self._limits.behind_bytes, self.room() * 3 // 4)
        kept_from = min((min(self._wanted, self.buffer.stop) - behind, *self._held))
        if kept_from > self.buffer.start:
            self.buffer.drop_below(kept_from)
            at = max(bisect_right(self._mark_offsets, self.buffer.start) - 1, 0)
            del (
                self._mark_offsets[:at],
                self._mark_cursors[:at],
                self._fences[: bisect_right(self._fences, self.buffer.start)],
            )

    def _wake(self) -> None:
        self._calling = False
        for each in list(self._readers):
            each()


class PartsPump:
    """Iterates parts in a task, and closes them."""

    behind_bytes = 0
    block_bytes = 1 << 16
    heartbeat: Heartbeat | None = None

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._more = asyncio.Event()

    def start(self, producer: Producer) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(producer))

    def more(self) -> None:
        self._more.set()

    def close(self) -> None:
        self._task.cancel()

    async def wait_closed(self) -> None:
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self, producer: Producer) -> None:
        try:
            await self._make(producer)
            producer.end()
        except Exception as error:  # noqa: BLE001 - any exception of an application ends the stream with an error
            producer.end(error)
        except asyncio.CancelledError:
            producer.end(ProducerClosed())
            raise
        finally:
            with suppress(Exception):  # errors of closing are irrelevant
                await self._parts.aclose()

    async def _make(self, producer: Producer) -> None:
        turn = 0
        async for data, cursor, step, fence in self._parts:
            if fence:
                producer.fence(cursor)
                continue
            producer.put(data, cursor, step=step)
            turn += len(data) + _PART_BYTES
            if turn >= _TURN_BYTES:
                turn = 0
                producer.forget()
                await asyncio.sleep(0)
            while producer.is_ahead:
                self._more.clear()
                await self._more.wait()
