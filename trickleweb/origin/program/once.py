"""Unsafe requests at most once: whoever claims one first runs it, all others give the response that it left.

A replica that dies at work leaves a claim that is lost. Nobody runs the request again, unless its route says that twice
does no harm; the client is told that the outcome is unknown, and so is everybody who asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from trickleweb.files.recent import Recent
from trickleweb.ledger import Claim, Done, Ledger, LedgerUnavailable, Lost, New, Pending

T = TypeVar("T")
_THREADS = 4  # ledgers let one write at a time
_UNKEPT_BYTES = 16 << 20
PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.2  # between looks at what another replica is at work on


class Once:
    """The ledger, asked in threads of its own; `now` is in microseconds since 1970.

    Every method may raise `LedgerUnavailable`.
    """

    def __init__(self, ledger: Ledger, now: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now = now
        self._threads = ThreadPoolExecutor(_THREADS, "ledger")
        self._unkept: Recent[bytes, bytes] = Recent(_UNKEPT_BYTES)

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def claim(self, key: bytes, *, repeatable: bool) -> New | Done | Lost:
        """Where the matter stands when nobody else is at work on it any more; `Lost` is told to its first finder."""
        pause = PAUSE_S
        if (unkept := self._unkept.get(key)) is not None:
            return Done(await self.complete(key, unkept))
        while True:
            claimed = await self._ask(key, repeatable=repeatable)
            if not isinstance(claimed, Pending):
                return claimed
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def complete(self, key: bytes, plan: bytes) -> bytes:
        """Keep the response; the one that counts comes back. One that cannot be kept now waits for the next `claim`.

        `StateTooLarge` for more than the ledger keeps.
        """
        try:
            kept = await self._threaded(lambda: self._ledger.complete(key, plan, now=self._now()))
        except LedgerUnavailable:
            self._unkept.put(key, plan, len(plan))
            raise
        self._unkept.drop(key)
        return kept

    async def kept(self, key: bytes) -> bytes | None:
        """What was kept under a key, None if there is nothing."""
        found = await self._threaded(lambda: self._ledger.find(key))
        return None if found is None else found.plan

    async def _ask(self, key: bytes, *, repeatable: bool) -> Claim:
        claimed = await self._threaded(lambda: self._ledger.claim(key, now=self._now()))
        if isinstance(claimed, Lost) and repeatable:
            return await self._threaded(lambda: self._ledger.adopt(key, now=self._now()))
        return claimed

    def _threaded(self, call: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, call)
