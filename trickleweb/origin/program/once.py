"""Unsafe requests at most once: whoever claims one first runs it, all others give the response that it left.

A replica that dies at work leaves a claim that is lost. Nobody runs the request again, unless its route says that twice
does no harm; the client is told that the outcome is unknown, and so is everybody who asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from trickleweb.ledger import Claim, Done, Ledger, Lost, New, Pending

T = TypeVar("T")
PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.2  # between looks at what another replica is at work on


class Once:
    """The ledger, asked in a thread; `now` is in microseconds since 1970."""

    def __init__(self, ledger: Ledger, now: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now = now

    async def claim(self, key: bytes, *, repeatable: bool) -> New | Done | Lost:
        """Where the matter stands when nobody else is at work on it any more; `Lost` is told to its first finder."""
        pause = PAUSE_S
        while True:
            claimed = await self._ask(key, repeatable=repeatable)
            if not isinstance(claimed, Pending):
                return claimed
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def complete(self, key: bytes, plan: bytes) -> bytes:
        """Keep the response; the one that counts comes back."""
        return await threaded(lambda: self._ledger.complete(key, plan, now=self._now()))

    async def release(self, key: bytes) -> None:
        """Nothing was begun after all."""
        await threaded(lambda: self._ledger.release(key))

    async def kept(self, key: bytes) -> bytes | None:
        """What was kept under a key, None if there is nothing."""
        claimed = await threaded(lambda: self._ledger.find(key))
        return claimed.plan if isinstance(claimed, Done) else None

    async def _ask(self, key: bytes, *, repeatable: bool) -> Claim:
        claimed = await threaded(lambda: self._ledger.claim(key, now=self._now()))
        if isinstance(claimed, Lost) and repeatable:
            return await threaded(lambda: self._ledger.adopt(key, now=self._now()))
        return claimed


def threaded(call: Callable[[], T]) -> Awaitable[T]:
    """Run what may block in a thread."""
    return asyncio.get_running_loop().run_in_executor(None, call)
