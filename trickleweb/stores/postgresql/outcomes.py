"""Plans in PostgreSQL, and the end of rows."""

from __future__ import annotations

from collections.abc import Sequence

from trickleweb.ledger import Done
from trickleweb.stores.postgresql.lane import Lane

_COMPLETE = """
WITH made AS (
    INSERT INTO {schema}.claims AS kept (key, owner, attempt, at, plan) SELECT given.key, 0, 0, given.at, given.plan
    FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) AS given (key, at, plan) ORDER BY given.key
    ON CONFLICT (key) DO UPDATE SET plan = excluded.plan, at = excluded.at WHERE kept.plan IS NULL RETURNING key)
SELECT key FROM made
"""
_FIND = "SELECT key, plan FROM {schema}.claims WHERE key = ANY($1::bytea[]) AND plan IS NOT NULL"
_RELEASE = "DELETE FROM {schema}.claims WHERE key = $1 AND owner = $2 AND plan IS NULL"
_EXPIRE = """
WITH old AS (SELECT key FROM {schema}.claims WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED),
gone AS (DELETE FROM {schema}.claims USING old WHERE claims.key = old.key RETURNING 1)
SELECT count(*) AS gone FROM gone
"""
EXPIRED_ROWS = 1000  # in one statement
Outcome = tuple[bytes, bytes, int]  # key, plan and time


class OutcomeStatements:
    """Statements by one connection, one at a time."""

    def __init__(self, lane: Lane, schema: str) -> None:
        self._lane = lane
        self._complete, self._find, self._release, self._expire = (
            each.format(schema=f'"{schema}"') for each in (_COMPLETE, _FIND, _RELEASE, _EXPIRE)
        )

    async def complete(self, given: Sequence[Outcome]) -> list[bytes]:
        """Store plans; return those that count."""
        first: dict[bytes, Outcome] = {}
        for each in given:
            first.setdefault(each[0], each)
        rows = [first[key] for key in sorted(first)]
        columns = [each[0] for each in rows], [each[2] for each in rows], [each[1] for each in rows]
        made = {bytes(row["key"]) for row in await self._lane.fetch(self._complete, *columns)}
        plans = {key: each[1] for key, each in first.items()}  # where a row expired just now, the plan is its own
        if others := [key for key in first if key not in made]:
            plans |= await self._plans(others)
        return [plans[key] for key, _, _ in given]

    async def find(self, keys: Sequence[bytes]) -> list[Done | None]:
        plans = await self._plans(list(set(keys)))
        return [Done(plans[key]) if key in plans else None for key in keys]

    async def release(self, key: bytes, owner: int) -> None:
        await self._lane.fetch(self._release, key, owner)

    async def forget(self, before: int) -> int:
        """Forget some rows; return their number."""
        [row] = await self._lane.fetch(self._expire, before, EXPIRED_ROWS)
        return int(row["gone"])

    async def _plans(self, keys: list[bytes]) -> dict[bytes, bytes]:
        return {bytes(row["key"]): bytes(row["plan"]) for row in await self._lane.fetch(self._find, keys)}
