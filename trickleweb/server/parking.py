"""Requests that wait for more of a response, bounded in number and shared fairly among hosts.

A request for a stored response waits in a task, since the store is read with `await`. One for a stream waits without:
its `Deferred` is its name, and a reader of the stream calls `answer`. All wait equally long, so one timer serves all:
the request that is due first is the one that was parked first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from trickles.service import Deferred, Heartbeat, Refusal, Reply
from trickles.shares import NoRoom, Shares
from trickleweb.server.errors import Busy, refusal_of, reported
from trickleweb.server.limits import StreamLimits
from trickleweb.server.tasks import TaskTable


class Parking:
    """Parked requests; `on_error` gets errors for operators."""

    def __init__(self, limits: StreamLimits, on_error: Callable[[Exception], None]) -> None:
        self._seconds = limits.parked_seconds
        self._on_error = on_error
        self._waiting = TaskTable(limits.parked, on_error)
        self._held: dict[Deferred, tuple[float, Callable[[], None]]] = {}  # until when, and what ends the wait
        self._shares: Shares[object] = Shares(limits.parked)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """True if requests are parked."""
        return len(self._waiting) > 0 or bool(self._held)

    async def close(self) -> None:
        """End all; their clients ask again."""
        for each in list(self._held):
            self.answer(each, Reply(refusal=Refusal.BUSY))
        if self._timer is not None:
            self._timer.cancel()
        await self._waiting.close()

    def park(self, host: str, make: Callable[[], Coroutine[Any, Any, Reply]]) -> Deferred:
        """Reply later, with the result of `make`; when places run short, a request of the host with the most has to be
        repeated. Raise `Busy` for want of a place.
        """
        name = object()
        self._make_room(host)
        reply = self._waiting.answer(name, make, lambda made: made)
        self._shares.add(host, name)
        if (parked := self._waiting.find(name)) is not None:
            parked.add_done_callback(lambda _: self._shares.remove(name))
        return reply

    def hold(self, host: str, end: Callable[[], None], heartbeat: Heartbeat | None = None) -> Deferred:
        """Take a place as `park` does, until `answer`; `end` is called first then. After a while the reply is empty, so
        that the client asks again.
        """
        self._make_room(host)
        loop, deferred = asyncio.get_running_loop(), Deferred(parked=True, heartbeat=heartbeat)
        until = loop.time() + self._seconds
        self._held[deferred] = until, end
        self._shares.add(host, deferred)
        if self._timer is None:
            self._timer = loop.call_at(until, self._look)
        return deferred

    def hold_for(self, deferred: Deferred, end: Callable[[], None]) -> None:
        """Let a held request wait for something else, which `end` ends."""
        until, _ = self._held[deferred]
        self._held[deferred] = until, end

    def answer(self, deferred: Deferred, reply: Reply | Exception) -> None:
        """Give the reply, or the refusal for an error, to a held request; another one has no effect."""
        held = self._held.pop(deferred, None)
        if held is None:
            return
        self._shares.remove(deferred)
        held[1]()
        if isinstance(reply, Exception):
            if (fault := reported(reply)) is not None:
                self._on_error(fault)
            reply = refusal_of(reply)
        deferred.resolve(reply)

    def _make_room(self, host: str) -> None:
        try:
            oldest = self._shares.in_the_way(host)
        except NoRoom:
            raise Busy from None
        if isinstance(oldest, Deferred):
            self.answer(oldest, Reply(refusal=Refusal.BUSY))
        elif oldest is not None:
            self._shares.remove(oldest)
            self._waiting.evict(oldest)

    def _look(self) -> None:
        """Answer those that have waited long."""
        loop, self._timer = asyncio.get_running_loop(), None
        now = loop.time()
        for deferred, (until, _) in list(self._held.items()):
            if until > now:
                self._timer = loop.call_at(until, self._look)
                return
            self.answer(deferred, Reply())
