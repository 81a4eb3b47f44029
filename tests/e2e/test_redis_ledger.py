"""The ledger in Redis: all that can happen to the server; what every ledger promises is in the conformance tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.redis import RedisServer
from trickleweb.errors import LedgerAway, LedgerUnavailable, LedgerUnwritable
from trickleweb.ledger import Claim, Done, Lost, New, Pending, ledger_key
from trickleweb.stores.redis import RedisLedger, RedisLimits

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("redis")]
QUICK = RedisLimits(least_pause_s=0.01, most_pause_s=0.05, call_s=2.0, lease_s=1.0)
KEYS = [ledger_key("n", bytes([at])) for at in range(40)]


@asynccontextmanager
async def opened(*urls: str, limits: RedisLimits = QUICK) -> AsyncIterator[list[RedisLedger]]:
    ledgers = [RedisLedger(url, limits) for url in urls]
    try:
        yield ledgers
    finally:
        for ledger in ledgers:
            await ledger.close()


async def claimed(ledger: RedisLedger, key: bytes) -> Claim:
    """The first claim that is not "ask again"."""
    while True:
        try:
            return await ledger.claim(key, now=1)
        except LedgerUnavailable:
            await asyncio.sleep(0.01)


async def completed(ledger: RedisLedger, key: bytes) -> bytes:
    while True:
        try:
            return await ledger.complete(key, b"plan", now=1)
        except LedgerUnavailable:
            await asyncio.sleep(0.01)


def test_nothing_is_new_twice_and_no_outcome_is_lost_while_the_server_is_killed() -> None:
    async def test(server: RedisServer) -> None:
        async with opened(server.url(), server.url()) as ledgers:
            given: list[bytes] = []

            async def lane(ledger: RedisLedger) -> None:
                for key in KEYS:
                    if await claimed(ledger, key) == New():
                        given.append(key)
                        assert await completed(ledger, key) == b"plan"

            async def trouble() -> None:
                for _ in range(3):
                    await asyncio.sleep(0.05)
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)

            await asyncio.gather(trouble(), *(lane(ledger) for ledger in ledgers for _ in range(3)))
            assert len(given) == len(set(given))
            assert [await claimed(ledgers[0], key) for key in given] == [Done(b"plan")] * len(given)

    with RedisServer("appendfsync always") as server:
        asyncio.run(test(server))


@pytest.mark.parametrize("how", ["flush", "forget"])
def test_a_server_that_forgot_is_another_ledger_once_it_was_looked_at(how: str) -> None:
    async def test(server: RedisServer) -> None:
        async with opened(server.url()) as [ledger]:
            assert await ledger.claim(KEYS[0], now=1) == New()
            known = ledger.store_id
            if how == "flush":
                server.run("FLUSHALL")
            else:
                server.kill()
                server.start()
            for _ in range(3):
                with pytest.raises(LedgerUnavailable):
                    await ledger.claim(KEYS[0], now=1)
            assert ledger.store_id == known
            while ledger.store_id == known:
                await asyncio.sleep(0.01)
                try:
                    ledger.look()
                except LedgerUnavailable:
                    continue
            assert await claimed(ledger, KEYS[1]) == New()

    with RedisServer(log=False) as server:
        asyncio.run(test(server))


def test_away_full_and_slow() -> None:
    async def test(server: RedisServer) -> None:
        server.kill()
        async with opened(server.url()) as [ledger]:
            with pytest.raises(LedgerAway, match="unix://"):
                await ledger.claim(KEYS[0], now=1)
            with pytest.raises(LedgerUnavailable):
                ledger.look()
            server.start()
            assert await claimed(ledger, KEYS[0]) == New()
            server.run("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(LedgerUnwritable):
                await ledger.claim(KEYS[1], now=1)
            server.run("CONFIG", "SET", "maxmemory", "0")
            assert await claimed(ledger, KEYS[1]) == New()
            server.kill()
            for _ in range(2):
                with pytest.raises(LedgerUnavailable) as raised:
                    await ledger.complete(KEYS[1], b"plan", now=1)
            assert not isinstance(raised.value, LedgerUnwritable)
            server.start()
            assert await completed(ledger, KEYS[1]) == b"plan"
        async with opened(server.url(), limits=RedisLimits(call_s=0.2, connect_s=0.2, lease_s=5)) as [ledger]:
            assert await ledger.claim(KEYS[2], now=1) == New()
            server.run("CLIENT", "PAUSE", "500", "ALL")
            with pytest.raises(LedgerUnavailable, match="in time"):
                await ledger.claim(KEYS[3], now=1)
            assert await claimed(ledger, KEYS[3]) == New(), "its first attempt was given to nobody"

    with RedisServer() as server:
        asyncio.run(test(server))


def test_the_claims_of_a_process_whose_lease_has_ended_are_lost_to_itself_too() -> None:
    async def test(server: RedisServer) -> None:
        async with opened(server.url(), server.url()) as (one, two):
            assert await one.claim(KEYS[0], now=1) == New()
            assert await two.claim(KEYS[0], now=1) == Pending()
            server.run("DEL", f"trickles:o:{one._lease.number}")
            assert await two.claim(KEYS[0], now=1) == Lost()
            with pytest.raises(LedgerAway, match="lease"):
                await one.claim(KEYS[1], now=1)
            assert await one.claim(KEYS[0], now=1) == Lost()
            assert await one.claim(KEYS[1], now=1) == New()
            assert await one.complete(KEYS[0], b"first", now=1) == b"first"
            assert await two.complete(KEYS[0], b"unknown", now=1) == b"first"

    with RedisServer() as server:
        asyncio.run(test(server))


def test_a_claim_counts_only_when_a_replica_of_the_server_has_it() -> None:
    async def test(server: RedisServer) -> None:
        async with opened(server.url(replicas="1"), server.url(), limits=RedisLimits(call_s=1.0)) as (one, two):
            with pytest.raises(LedgerUnavailable, match="too few replicas"):
                await one.claim(KEYS[0], now=1)
            assert await two.claim(KEYS[0], now=1) == Pending()
            with RedisServer(f"replicaof 127.0.0.1 {server.port}"):
                assert await claimed(one, KEYS[0]) == New(), "it was given to nobody before"
                assert await claimed(one, KEYS[1]) == New()

    with RedisServer() as server:
        asyncio.run(test(server))
