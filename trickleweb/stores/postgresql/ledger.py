"""The ledger of replicas on any number of machines, in PostgreSQL 12 or newer.

Each process has three connections: one that holds the lock of its owner, one for claims, one for everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from trickleweb.errors import LedgerAway, LedgerUnavailable
from trickleweb.ledger import Claim, Done
from trickleweb.stores.batches import Batches
from trickleweb.stores.claim_rows import check_plan
from trickleweb.stores.postgresql.address import DatabaseUrl
from trickleweb.stores.postgresql.claims import Answer, Asked, ClaimStatements
from trickleweb.stores.postgresql.driver import asyncpg_module
from trickleweb.stores.postgresql.lane import Lane
from trickleweb.stores.postgresql.limits import PostgresLimits
from trickleweb.stores.postgresql.outcomes import EXPIRED_ROWS, Outcome, OutcomeStatements
from trickleweb.stores.postgresql.sessions import Sessions

_CLAIMS_PER_SWEEP = 1024


class PostgresLedger:
    """A `Ledger` in one schema of a database, which is made when it is missing.

    It connects at the first call or `look`, and again whenever connections break. Raises `BadDatabaseUrl`, and
    `PackageMissing` without asyncpg. The URL is that of `DatabaseUrl.parse`; passwords may also be in PGPASSWORD or in
    the file PGPASSFILE, as for libpq.
    """

    def __init__(self, url: str | DatabaseUrl, limits: PostgresLimits | None = None) -> None:
        asyncpg_module()
        self._url = url if isinstance(url, DatabaseUrl) else DatabaseUrl.parse(url)
        self._limits = limits = limits or PostgresLimits()
        self._lanes = Lane(self._url, limits), Lane(self._url, limits)
        self._sessions = Sessions(self._url, self._lanes[0], limits)
        self._claims = claims = ClaimStatements(self._lanes[0], self._url.schema, self._sessions, limits)
        self._outcomes = outcomes = OutcomeStatements(self._lanes[1], self._url.schema)
        calls, most = limits.batch_calls, limits.batch_bytes
        self._claiming = Batches[Asked, Answer](claims.batch, calls=calls, most_bytes=most, unheard=claims.unheard)
        self._completing = Batches[Outcome, bytes](
            outcomes.complete, calls=calls, most_bytes=most, weight=lambda each: len(each[1])
        )
        self._finding = Batches[bytes, Done | None](outcomes.find, calls=calls, most_bytes=most)
        self._claimed = 0
        self._sweep: asyncio.Task[int] | None = None

    @property
    def store_id(self) -> bytes:
        return self._sessions.store_id

    async def open(self) -> None:
        """Wait for the first attempt to connect; raise `LedgerUnavailable` if it failed. Others follow in any case."""
        async with self._in_time():
            with suppress(LedgerUnavailable):
                await self._sessions.owner()
        self._sessions.look()

    def look(self) -> None:
        self._sessions.look()

    async def close(self) -> None:
        """Close all connections; claims of this process that are not completed become lost."""
        for batches in (self._claiming, self._completing, self._finding):
            await batches.close()
        if self._sweep is not None:
            self._sweep.cancel()
            await asyncio.wait((self._sweep,))
        await self._sessions.close()
        for lane in self._lanes:
            lane.drop()

    async def claim(self, key: bytes, *, now: int) -> Claim:
        self._sweep_sometimes(now)
        async with self._in_time():
            return (await self._claiming.call((key, now)))[0]

    async def adopt(self, key: bytes, *, now: int) -> Claim:
        async with self._in_time():
            return await self._claims.adopt(key, now) or (await self._claiming.call((key, now)))[0]

    async def find(self, key: bytes) -> Done | None:
        async with self._in_time():
            await self._sessions.owner()
            return await self._finding.call(key)

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        """Complete a claim; raise `StateTooLarge` for a plan over `plan_bytes`, which is not stored.

        Raise `LedgerUnwritable` only where no process can store anything: the disk of the server is full.
        """
        check_plan(plan, self._limits.plan_bytes)
        try:
            async with self._in_time():
                await self._sessions.owner()
                return await self._completing.call((key, plan, now))
        except LedgerAway as error:
            raise LedgerUnavailable(str(error)) from None

    async def release(self, key: bytes) -> None:
        async with self._in_time():
            await self._outcomes.release(key, (await self._sessions.owner()).number)

    async def expire(self, *, before: int) -> int:
        """Forget old rows; claims do it too, some rows at a time, after `keep` microseconds."""
        count = 0
        while True:
            async with self._in_time():
                await self._sessions.owner()
                count += (some := await self._outcomes.forget(before))
            if some < EXPIRED_ROWS:
                return count

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.call_s):
                yield
        except TimeoutError:
            raise LedgerUnavailable(f"{self._url.shown}: no reply in time") from None

    def _sweep_sometimes(self, now: int) -> None:
        self._claimed += 1
        if self._claimed % _CLAIMS_PER_SWEEP == 0 and (self._sweep is None or self._sweep.done()):
            self._sweep = asyncio.get_running_loop().create_task(self._swept(now - self._limits.keep))

    async def _swept(self, before: int) -> int:
        with suppress(LedgerUnavailable):
            return await self._outcomes.forget(before)
        return 0
