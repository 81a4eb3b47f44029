"""A body being made: parts are fetched ahead of what is asked for, within bounds, and whoever waits is told.

Soft state: where it is lost, another one makes the same bytes from a cursor or from the request.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right

from trickleweb.origin.program.framed import Parts
from trickleweb.origin.program.tape import Tape
from trickleweb.plain import Plain

AHEAD_BYTES = 1 << 20  # made before it is asked for: more than most paths hold
BEHIND_BYTES = 1 << 21  # kept for what is lost on the way
_TURN_BYTES = 1 << 18  # then others get their turn


class Production:
    """`tape` holds what was made; `ended` and `failure` say how it went on, `cursor` what is behind each step."""

    def __init__(self, parts: Parts, origin: int = 0, cursor: Plain = None) -> None:
        self.tape = Tape(origin)
        self.ended = False
        self.failure: Exception | None = None
        self._parts = parts
        self._wanted = origin
        self._mark_offsets, self._mark_cursors = [origin], [cursor]
        self._waiters: list[asyncio.Future[None]] = []
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pump = self._loop.create_task(self._run())

    @property
    def over(self) -> bool:
        """Nothing more will be made."""
        return self.ended or self.failure is not None

    def cursor(self, offset: int) -> tuple[int, Plain]:
        """The last step's end at or below `offset`, and the cursor there."""
        at = bisect_right(self._mark_offsets, offset) - 1
        return self._mark_offsets[max(at, 0)], self._mark_cursors[max(at, 0)]

    @property
    def stepped_to(self) -> int:
        """Where the last step ended."""
        return self._mark_offsets[-1]

    def want(self, offset: int) -> None:
        """Somebody asks for what lies below `offset`."""
        if offset > self._wanted:
            self._wanted = offset
            self._more.set()
            kept_from = offset - BEHIND_BYTES
            if kept_from > self.tape.start:
                self.tape.drop_below(kept_from)
                at = max(bisect_right(self._mark_offsets, self.tape.start) - 1, 0)
                del self._mark_offsets[:at], self._mark_cursors[:at]

    def news(self) -> asyncio.Future[None]:
        """Done when more was made or nothing more will be; whoever asks is told of all that happens from now on."""
        told: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(told)
        return told

    def close(self) -> None:
        """Make no more; whoever waits is told."""
        if not self._pump.done():
            self._pump.cancel()

    async def _run(self) -> None:
        try:
            await self._make()
            self.ended = True
        except asyncio.CancelledError:
            self.failure = ProductionClosed()
            raise
        except Exception as error:  # noqa: BLE001 - whatever a program does, its stream ends there for all to see
            self.failure = error
        finally:
            self._tell()
            await self._parts.aclose()  # type: ignore[attr-defined]  # every Parts is a generator

    async def _make(self) -> None:
        tape, turn = self.tape, 0
        async for data, cursor, step in self._parts:
            if data:
                tape.append(data)
            if step:
                self._mark_offsets.append(tape.stop)
                self._mark_cursors.append(cursor)
            if self._waiters:
                self._loop.call_soon(self._tell)
            turn += len(data)
            if turn >= _TURN_BYTES:
                turn = 0
                await asyncio.sleep(0)
            while tape.stop - self._wanted >= AHEAD_BYTES:
                self._more.clear()
                await self._more.wait()

    def _tell(self) -> None:
        waiters, self._waiters = self._waiters, []
        for each in waiters:
            if not each.done():
                each.set_result(None)


class ProductionClosed(Exception):
    """Nobody wants the body any more, or there was no room to go on making it."""
