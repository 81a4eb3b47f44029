"""The ledger of the replicas of one machine, in a SQLite file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from trickleweb.ledger import Claim, Done, LedgerUnavailable
from trickleweb.stores.ledger_file import KEEP, LedgerFile

T = TypeVar("T")
_THREADS = 4  # a file allows one write at a time: others wait, or read


class SqliteLedger:
    """A `Ledger` in one file, with a folder `path-owners` next to it; blocking calls run on threads of its own.

    See `LedgerFile` for the file. Raises `LedgerUnavailable` if it cannot be opened, unless it is `patient`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool = True,
        wait_s: float = 5.0,
        max_bytes: int = 1 << 30,
        max_plan_bytes: int = 1 << 20,
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
        self._threads = ThreadPoolExecutor(_THREADS, "ledger")

    @property
    def store_id(self) -> bytes:
        return self._file.store_id

    def look(self) -> None:
        self._file.look()

    async def close(self) -> None:
        """Close the file; claims of this process that are not completed become lost."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._file.close)

    async def claim(self, key: bytes, *, now: int) -> Claim:
        return await self._threaded(partial(self._file.claim, key, now=now))

    async def adopt(self, key: bytes, *, now: int) -> Claim:
        return await self._threaded(partial(self._file.adopt, key, now=now))

    async def find(self, key: bytes) -> Done | None:
        return await self._threaded(partial(self._file.find, key))

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        """Complete a claim; raise `StateTooLarge` for a plan over `max_plan_bytes`, which is not stored."""
        return await self._threaded(partial(self._file.complete, key, plan, now=now))

    async def release(self, key: bytes) -> None:
        await self._threaded(partial(self._file.release, key))

    async def expire(self, *, before: int) -> int:
        """Forget old rows; claims do it too, some rows at a time, after `keep` microseconds."""
        return await self._threaded(partial(self._file.expire, before=before))

    def _threaded(self, call: Callable[[], T]) -> Awaitable[T]:
        try:
            return asyncio.get_running_loop().run_in_executor(self._threads, call)
        except RuntimeError:
            raise LedgerUnavailable("the ledger is closed") from None
