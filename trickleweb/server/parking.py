"""Requests that wait for more of a response, bounded in number and shared fairly among hosts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from trickles.service import Deferred, Reply
from trickles.shares import NoRoom, Shares
from trickleweb.server.errors import Busy
from trickleweb.server.tasks import TaskTable


class Parking:
    """Parked requests, at most `most`; `on_error` gets errors for operators."""

    def __init__(self, most: int, on_error: Callable[[Exception], None]) -> None:
        self._waiting = TaskTable(most, on_error)
        self._shares: Shares[object] = Shares(most)

    @property
    def busy(self) -> bool:
        """True if requests are parked."""
        return len(self._waiting) > 0

    async def close(self) -> None:
        """End all; their clients ask again."""
        await self._waiting.close()

    def park(self, host: str, make: Callable[[], Coroutine[Any, Any, Reply]]) -> Deferred:
        """Reply later, with the result of `make`; when places run short, a request of the host with the most has to be
        repeated. Raise `Busy` for want of a place.
        """
        name = object()
        try:
            oldest = self._shares.in_the_way(host)
        except NoRoom:
            raise Busy from None
        if oldest is not None:
            self._shares.remove(oldest)
            self._waiting.evict(oldest)
        reply = self._waiting.answer(name, make, lambda made: made)
        self._shares.add(host, name)
        if (parked := self._waiting.find(name)) is not None:
            parked.add_done_callback(lambda _: self._shares.remove(name))
        return reply
