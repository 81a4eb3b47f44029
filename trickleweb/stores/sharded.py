"""One ledger over several: each key has its place in one of them, by rendezvous hashing.

The place is that of the largest hash of a store's id with the key, so the order of the stores does not matter. A shard
that cannot be used affects its own keys only, once all shards have been seen.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress

from trickles.stores import NO_STORE
from trickleweb.ledger import Claim, Done, Ledger, LedgerAway, LedgerUnavailable


class ShardedLedger:
    """A `Ledger` over others. Its `store_id` follows from theirs: all its users need the same ones."""

    def __init__(self, shards: Sequence[Ledger]) -> None:
        self._shards = tuple(shards)

    @property
    def store_id(self) -> bytes:
        ids = sorted({shard.store_id for shard in self._shards})
        return NO_STORE if NO_STORE in ids else hashlib.sha256(b"trickleweb 1 shards" + b"".join(ids)).digest()

    def look(self) -> None:
        """Look at all shards; raise the error of the first that cannot be used."""
        errors: list[LedgerUnavailable] = []
        for shard in self._shards:
            try:
                shard.look()
            except LedgerUnavailable as error:
                errors.append(error)
        if errors:
            raise errors[0]

    async def close(self) -> None:
        await asyncio.gather(*(shard.close() for shard in self._shards))

    async def claim(self, key: bytes, *, now: int) -> Claim:
        return await self._place(key).claim(key, now=now)

    async def adopt(self, key: bytes, *, now: int) -> Claim:
        return await self._place(key).adopt(key, now=now)

    async def find(self, key: bytes) -> Done | None:
        return await self._place(key).find(key)

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        try:
            place = self._place(key)
        except LedgerAway as error:
            raise LedgerUnavailable(str(error)) from None
        return await place.complete(key, plan, now=now)

    async def release(self, key: bytes) -> None:
        await self._place(key).release(key)

    async def expire(self, *, before: int) -> int:
        """Forget old rows of all shards that can be used; raise `LedgerUnavailable` if one cannot."""
        found = await asyncio.gather(*(shard.expire(before=before) for shard in self._shards), return_exceptions=True)
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return sum(each for each in found if isinstance(each, int))

    def _place(self, key: bytes) -> Ledger:
        """Return the shard of a key; raise `LedgerAway` while a shard was never seen."""
        if not all(shard.store_id for shard in self._shards):
            with suppress(LedgerUnavailable):
                self.look()  # let those begin that nobody has asked yet
        if not all(shard.store_id for shard in self._shards):
            raise LedgerAway("not all shards of the ledger have been reached yet")
        return max(self._shards, key=lambda shard: hashlib.sha256(shard.store_id + key).digest())
