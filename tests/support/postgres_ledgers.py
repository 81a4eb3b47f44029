"""Ledgers in PostgreSQL that do not wait long, and what tests of their failures do to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.ledger_houses import shared_cluster
from trickleweb.ledger import Claim, LedgerUnavailable
from trickleweb.stores.postgresql import PostgresLedger, PostgresLimits

QUICK = PostgresLimits(least_pause_s=0.01, most_pause_s=0.05)
_names = iter(range(1000))


def fresh_url() -> str:
    """A schema of its own on the shared server."""
    return shared_cluster().url(schema=f"failing_{next(_names)}")


@asynccontextmanager
async def opened(*urls: str, limits: PostgresLimits = QUICK) -> AsyncIterator[list[PostgresLedger]]:
    ledgers = [PostgresLedger(url, limits) for url in urls]
    try:
        yield ledgers
    finally:
        for ledger in ledgers:
            await ledger.close()


async def claimed(ledger: PostgresLedger, key: bytes) -> Claim:
    """The first claim that is not "ask again"."""
    while True:
        try:
            return await ledger.claim(key, now=1)
        except LedgerUnavailable:
            await asyncio.sleep(0.01)


async def completed(ledger: PostgresLedger, key: bytes, plan: bytes) -> bytes:
    while True:
        try:
            return await ledger.complete(key, plan, now=1)
        except LedgerUnavailable:
            await asyncio.sleep(0.01)


def break_owners(ledger: PostgresLedger) -> None:
    """End the session that holds the lock, from the server's side."""
    owner = ledger._sessions._owner
    assert owner is not None
    high, low = owner.number >> 32, owner.number & 0xFFFF_FFFF
    ended = shared_cluster().sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks"
        f" WHERE locktype = 'advisory' AND classid = {high} AND objid = {low}"
    )
    assert ended == "t"
