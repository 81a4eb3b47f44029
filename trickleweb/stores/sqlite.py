"""The ledger of the replicas of one machine, in a SQLite file.

Calls that arrive while a transaction is under way go together in the next one: it is written to disk once for all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from trickleweb.ledger import Claim, Done, LedgerUnavailable, New
from trickleweb.stores.batches import Batches
from trickleweb.stores.claim_rows import KEEP, PLAN_BYTES
from trickleweb.stores.ledger_file import LedgerFile

T = TypeVar("T")
_BATCH_CALLS, _BATCH_BYTES = 256, 4 << 20  # other processes wait for the end of a transaction


class SqliteLedger:
    """A `Ledger` in one file, with a folder `path-owners` next to it; blocking calls run on a thread of its own.

    See `LedgerFile` for the file. Raises `LedgerUnavailable` if it cannot be opened, unless it is `patient`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool = True,
        wait_s: float = 5.0,
        max_bytes: int = 1 << 30,
        max_plan_bytes: int = PLAN_BYTES,
        keep: int = KEEP,
        patient: bool = False,
    ) -> None:
        self._file = LedgerFile(
            path,
            durable=durable,
            wait_s=wait_s,
            max_bytes=max_bytes,
            max_plan_bytes=max_plan_bytes,
            keep=keep,
            patient=patient,
        )
        self._thread = ThreadPoolExecutor(1, "ledger")  # the file does one call at a time
        self._released: set[asyncio.Task[None]] = set()
        self._claims: Batches[tuple[bytes, int], Claim] = Batches(
            lambda asked: self._threaded(partial(self._file.claims, asked)),
            calls=_BATCH_CALLS,
            most_bytes=_BATCH_BYTES,
            unheard=self._unheard,
        )
        self._completions: Batches[tuple[bytes, bytes, int], bytes] = Batches(
            lambda given: self._threaded(partial(self._file.completes, given)),
            calls=_BATCH_CALLS,
            most_bytes=_BATCH_BYTES,
            weight=lambda given: len(given[1]),
        )

    @property
    def store_id(self) -> bytes:
        return self._file.store_id

    def look(self) -> None:
        self._file.look()

    async def close(self) -> None:
        """Close the file; claims of this process that are not completed become lost."""
        await self._claims.close()
        await self._completions.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._file.close)

    async def claim(self, key: bytes, *, now: int) -> Claim:
        return await self._claims.call((key, now))

    def _unheard(self, asked: tuple[bytes, int], claim: Claim) -> None:
        """Release a claim whose caller left before it came: nothing was begun."""
        if isinstance(claim, New):
            task = asyncio.get_running_loop().create_task(self._let_go(asked[0]))
            self._released.add(task)
            task.add_done_callback(self._released.discard)

    async def _let_go(self, key: bytes) -> None:
        with suppress(LedgerUnavailable):  # then it is lost with this process
            await self.release(key)

    async def adopt(self, key: bytes, *, now: int) -> Claim:
        return await self._threaded(partial(self._file.adopt, key, now=now))

    async def find(self, key: bytes) -> Done | None:
        return await self._threaded(partial(self._file.find, key))

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        """Complete a claim; raise `StateTooLarge` for a plan over `max_plan_bytes`, which is not stored."""
        self._file.check_plan(plan)
        return await self._completions.call((key, plan, now))

    async def release(self, key: bytes) -> None:
        await self._threaded(partial(self._file.release, key))

    async def expire(self, *, before: int) -> int:
        """Forget old rows; claims do it too, some rows at a time, after `keep` microseconds."""
        return await self._threaded(partial(self._file.expire, before=before))

    def _threaded(self, call: Callable[[], T]) -> Awaitable[T]:
        try:
            return asyncio.get_running_loop().run_in_executor(self._thread, call)
        except RuntimeError:
            raise LedgerUnavailable("the ledger is closed") from None
