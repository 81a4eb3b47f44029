"""The ledger in PostgreSQL when connections and servers break: nothing is `New` twice."""

import asyncio
from contextlib import nullcontext

import pytest

from tests.support.cut_connections import Cuts
from tests.support.ledger_houses import WITH_SERVER
from tests.support.loop import on_loop
from tests.support.postgres import Cluster
from tests.support.postgres_ledgers import QUICK, break_owners, claimed, completed, fresh_url, opened
from trickles.stores import NO_STORE
from trickleweb.errors import LedgerAway, LedgerUnavailable, LedgerUnwritable
from trickleweb.ledger import Claim, Done, Lost, New, Pending, ledger_key
from trickleweb.stores.postgresql import PostgresLedger

pytestmark = WITH_SERVER
KEY = ledger_key("test", b"1")


@pytest.fixture
def url() -> str:
    return fresh_url()


# Connections that break

STATEMENTS = ["INSERT INTO", "CASE WHEN", "UPDATE", "DELETE", "plan IS NOT NULL", "kept"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("text", STATEMENTS)
def test_a_cut_connection_costs_no_claim(text: str, after: bool, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = Cuts(monkeypatch)

    async def test() -> None:
        async with opened(url, url) as (dead, other), opened(url) as (ledger,):
            lost = ledger_key("lost")
            assert await dead.claim(lost, now=1) == New()
            await dead.close()
            await ledger.open()
            cuts.cut(text, after=after)
            assert await claimed(ledger, KEY) == New()
            assert await claimed(ledger, KEY) == Pending()
            assert await claimed(other, KEY) == Pending()
            with pytest.raises(LedgerUnavailable) if text == "DELETE" else nullcontext():
                await ledger.release(b"unknown")
            try:
                adopted: Claim = await ledger.adopt(lost, now=1)
            except LedgerUnavailable:
                adopted = await ledger.adopt(lost, now=1)
            assert adopted == New()
            assert await claimed(other, lost) == Pending()
            assert await completed(ledger, KEY, b"plan") == b"plan"
            assert await completed(ledger, KEY, b"plan 2") == b"plan"
            assert await claimed(other, KEY) == Done(b"plan")
            assert cuts.done

    on_loop(test())


def test_a_claim_whose_reply_is_lost_twice_and_then_its_owner_is_new_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = Cuts(monkeypatch)

    async def test() -> None:
        async with opened(url, url) as (ledger, other):
            await ledger.open()
            for text in ("INSERT INTO", "UPDATE"):
                cuts.cut(text, after=True)
                with pytest.raises(LedgerUnavailable, match="cut"):
                    await ledger.claim(KEY, now=1)
            assert await other.claim(KEY, now=1) == Pending()
            break_owners(ledger)
            assert await claimed(other, KEY) == Lost()
            assert await claimed(ledger, KEY) == New()
            assert await claimed(ledger, KEY) == Pending()
            break_owners(ledger)
            assert await claimed(ledger, KEY) == Lost()  # given as `New` by the owner before

    on_loop(test())


def test_a_claim_whose_caller_left_is_new_to_the_next(url: str) -> None:
    async def test() -> None:
        async with opened(url, url) as (ledger, other):
            await ledger.open()
            for turns in range(12):
                key = ledger_key("turns", bytes([turns]))
                call = asyncio.ensure_future(ledger.claim(key, now=1))
                for _ in range(turns):
                    await asyncio.sleep(0.0002)
                call.cancel()
                await asyncio.wait((call,))
                expected: Claim = New() if call.cancelled() else Pending()
                assert await claimed(ledger, key) == expected
                assert await claimed(ledger, key) == await claimed(other, key) == Pending()

    on_loop(test())


def test_a_process_whose_owner_fell_has_lost_its_claims_like_all_others(url: str) -> None:
    async def test() -> None:
        async with opened(url, url) as (one, two):
            keys = [ledger_key("n", bytes([at])) for at in range(3)]
            assert [await one.claim(key, now=1) for key in keys] == [New()] * 3
            break_owners(one)
            assert [await two.claim(key, now=1) for key in keys] == [Lost()] * 3
            assert [await claimed(one, key) for key in keys] == [Lost()] * 3
            assert await two.complete(keys[0], b"unknown", now=2) == b"unknown"
            assert await completed(one, keys[0], b"mine") == b"unknown"
            assert await completed(one, keys[1], b"mine") == b"mine"
            assert await one.adopt(keys[2], now=3) == New()

    on_loop(test())


def test_no_claim_is_made_for_an_owner_that_fell_unnoticed(url: str) -> None:
    async def test() -> None:
        async with opened(url) as (ledger,):
            await ledger.claim(KEY, now=1)
            owner = ledger._sessions._owner
            assert owner is not None
            await owner._connection.fetch("SELECT pg_advisory_unlock_all()")
            with pytest.raises(LedgerUnavailable, match="no longer held"):
                await ledger.claim(b"2", now=1)
            assert await claimed(ledger, b"2") == New()
            assert await claimed(ledger, KEY) == Lost()

    on_loop(test())


# Servers


def test_a_server_that_is_killed_again_and_again_forgets_nothing() -> None:
    lanes, given, kept = 8, list[bytes](), dict[bytes, bytes]()

    async def test(cluster: Cluster) -> None:
        over = asyncio.Event()

        async def lane(ledger: PostgresLedger, number: int) -> None:
            at = 0
            while not over.is_set():
                key, at = ledger_key("lane", bytes([number % (lanes // 2)]), at.to_bytes(4, "big")), at + 1
                standing = await claimed(ledger, key)
                if standing == New():
                    given.append(key)
                    kept[key] = await completed(ledger, key, bytes([number]))

        async with opened(cluster.url(), cluster.url()) as ledgers:
            tasks = [asyncio.create_task(lane(ledgers[number % 2], number)) for number in range(lanes)]
            for kill in range(3):
                before = len(kept)
                while len(kept) < before + 50:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(cluster.kill)
                await asyncio.to_thread(cluster.start)
                assert len(given) == len(set(given)), f"kill {kill}"
            over.set()
            await asyncio.gather(*tasks)
            assert len(given) == len(set(given))
            found = {key: await ledgers[0].find(key) for key in kept}
            assert found == {key: Done(plan) for key, plan in kept.items()}

    with Cluster() as cluster:
        on_loop(test(cluster))


def test_a_server_that_is_away_at_first_is_used_when_it_comes() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.kill()
        async with opened(cluster.url(), limits=QUICK) as (ledger,):
            with pytest.raises(LedgerUnavailable):
                await ledger.open()
            assert ledger.store_id == NO_STORE
            with pytest.raises(LedgerAway):
                await ledger.claim(KEY, now=1)
            with pytest.raises(LedgerUnavailable) as raised:
                await ledger.complete(KEY, b"", now=1)
            assert not isinstance(raised.value, LedgerUnwritable)
            cluster.start()
            assert await claimed(ledger, KEY) == New()
            ledger.look()
            cluster.kill()
            with pytest.raises(LedgerUnavailable):
                await ledger.claim(KEY, now=1)
            known = ledger.store_id
            cluster.start()
            assert await claimed(ledger, KEY) == Lost()
            assert ledger.store_id == known != NO_STORE

    with Cluster("fsync=off") as cluster:
        on_loop(test(cluster))
