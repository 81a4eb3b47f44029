"""Claims in PostgreSQL: who gets `New`, and what is known when a reply does not come.

A row has the number of its owner (see `owner`) and of the attempt that inserted it: a random number for each statement.

 no row         the INSERT of exactly one statement makes it: `New`. It inserts nothing unless another session holds the
                owner's lock, so no claim is made for an owner that all others take for dead already
 plan           `Done`
 lock held      `Pending`, also for the owner itself
 lock free      `Lost`, also for a process that has another owner since its connection broke

A statement whose reply does not come (the connection broke, the time was over) may have made the row. Nobody was given
`New` for that attempt, so nothing was done. The attempt's number stays in a list; a later claim that finds this number
in the row takes the row over, by an UPDATE with that number as its condition, and gets `New`. A row that was given as
`New` before never has a number of that list. The list is bounded: a forgotten attempt is `Lost` once its owner is.

A statement may even be done late, after a second one for the same key: then it finds the second one's row.

Tried, and not done: the keys that this process was given, kept until they are completed, in place of attempts (a bound
on them would be one on safety); a time in each row after which its owner counts as dead (clocks and pauses lie).

Rows of one statement are locked in the order of their keys, so two statements never wait for each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from trickleweb.cache import LruCache
from trickleweb.errors import LedgerUnavailable
from trickleweb.ledger import Claim, Done, Lost, New, Pending
from trickleweb.stores.postgresql.driver import Row
from trickleweb.stores.postgresql.lane import Lane
from trickleweb.stores.postgresql.limits import PostgresLimits
from trickleweb.stores.postgresql.owner import OWNER_BITS, SessionOwner, fallen
from trickleweb.stores.postgresql.sessions import Sessions

_CLAIM = """
WITH alive AS MATERIALIZED (SELECT NOT pg_try_advisory_xact_lock_shared($3) AS held),
made AS (
    INSERT INTO {schema}.claims (key, owner, attempt, at) SELECT asked.key, $3, $4, asked.at
    FROM unnest($1::bytea[], $2::bigint[]) AS asked (key, at), alive WHERE held ORDER BY asked.key
    ON CONFLICT (key) DO NOTHING RETURNING key)
SELECT held, (SELECT array_agg(key) FROM made) AS made FROM alive
"""
_STANDING = """
SELECT key, owner, attempt, plan,
    CASE WHEN plan IS NULL THEN pg_try_advisory_xact_lock_shared(owner) ELSE false END AS free
FROM {schema}.claims WHERE key = ANY($1::bytea[])
"""
_TAKE_OVER = """
UPDATE {schema}.claims SET owner = $4, attempt = $5, at = $6
WHERE key = $1 AND owner = $2 AND attempt = $3 AND plan IS NULL AND NOT pg_try_advisory_xact_lock_shared($4)
RETURNING key
"""
_ROUNDS = 4  # a row is gone between two statements when it was released or expired just then
_ATTEMPTS = 32  # remembered of one key
Asked = tuple[bytes, int]  # key and time
Answer = tuple[Claim, int]  # with the number of the attempt


class ClaimStatements:
    """Claims by one connection, one statement at a time."""

    def __init__(self, lane: Lane, schema: str, sessions: Sessions, limits: PostgresLimits) -> None:
        self._lane = lane
        self._sessions = sessions
        self._claim, self._standing, self._take = (
            each.format(schema=f'"{schema}"') for each in (_CLAIM, _STANDING, _TAKE_OVER)
        )
        self._doubtful: LruCache[bytes, tuple[int, ...]] = LruCache(limits.doubtful_keys)

    async def batch(self, asked: Sequence[Asked]) -> list[Answer]:
        """Claim keys; one that occurs twice is `New` at its first occurrence only."""
        owner, attempt = await self._sessions.owner(), secrets.randbits(OWNER_BITS)
        times: dict[bytes, int] = {}
        for key, now in asked:
            times.setdefault(key, now)
        claims: dict[bytes, Claim] = {}
        for _ in range(_ROUNDS):
            if rest := sorted(times.keys() - claims.keys()):
                claims |= await self._claimed(rest, times, owner, attempt)
        if len(claims) < len(times):
            raise LedgerUnavailable("a row is inserted and removed all the time")
        for key, claim in claims.items():
            if isinstance(claim, New):
                self._doubtful.drop(key)
        return [(_once(claims, key), attempt) for key, _ in asked]

    def unheard(self, asked: Asked, answer: Answer) -> None:
        """Note that a caller left before its answer: nothing is done for a `New` claim."""
        claim, attempt = answer
        if isinstance(claim, New):
            self._doubt(asked[0], attempt)

    async def adopt(self, key: bytes, now: int) -> Claim | None:
        """Take over a row that is `Lost`: `New`; None where the claim of `batch` decides."""
        owner, attempt = await self._sessions.owner(), secrets.randbits(OWNER_BITS)
        rows = await self._lane.fetch(self._standing, [key])
        if rows and rows[0]["free"] and await self._taken_over(rows[0], owner, attempt, now):
            self._doubtful.drop(key)
            return New()
        return None

    async def _claimed(
        self, keys: list[bytes], times: dict[bytes, int], owner: SessionOwner, attempt: int
    ) -> dict[bytes, Claim]:
        for key in keys:
            self._doubt(key, attempt)
        [row] = await self._lane.fetch(self._claim, keys, [times[key] for key in keys], owner.number, attempt)
        claims: dict[bytes, Claim] = {}
        for key in row["made"] or ():
            claims[bytes(key)] = New()
        others = [key for key in keys if key not in claims]
        for key in others:
            self._trust(key, attempt)
        if not row["held"]:
            owner.drop()
            raise fallen(owner.number)
        for found in await self._lane.fetch(self._standing, others) if others else ():
            key = bytes(found["key"])
            claims[key] = await self._of(found, owner, attempt, times[key])
        return claims

    async def _of(self, row: Row, owner: SessionOwner, attempt: int, now: int) -> Claim:
        if row["plan"] is not None:
            return Done(bytes(row["plan"]))
        ours = row["attempt"] in (self._doubtful.get(bytes(row["key"])) or ())
        if ours and await self._taken_over(row, owner, attempt, now):
            return New()
        return Lost() if row["free"] else Pending()

    async def _taken_over(self, row: Row, owner: SessionOwner, attempt: int, now: int) -> bool:
        """Give the row as it was seen to this owner; return whether that was done. The attempt stays in doubt then."""
        key = bytes(row["key"])
        self._doubt(key, attempt)
        values = (key, row["owner"], row["attempt"], owner.number, attempt, now)
        if await self._lane.fetch(self._take, *values):
            return True
        self._trust(key, attempt)
        return False

    def _doubt(self, key: bytes, attempt: int) -> None:
        self._doubtful.put(key, (*(self._doubtful.get(key) or ()), attempt)[-_ATTEMPTS:])

    def _trust(self, key: bytes, attempt: int) -> None:
        """Note that this attempt has made no row."""
        rest = tuple(each for each in self._doubtful.get(key) or () if each != attempt)
        self._doubtful.put(key, rest) if rest else self._doubtful.drop(key)


def _once(claims: dict[bytes, Claim], key: bytes) -> Claim:
    claim = claims[key]
    if isinstance(claim, New):
        claims[key] = Pending()
    return claim
