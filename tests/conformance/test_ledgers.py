"""Promises of `Ledger`, held by each of its engines."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.ledger_houses import ALL, CLUSTERS, House
from tests.support.loop import on_loop
from trickles.stores import STORE_ID_BYTES
from trickleweb.ledger import Claim, Done, Ledger, LedgerUnavailable, Lost, New, Pending, ledger_key
from trickleweb.plain import StateTooLarge

pytestmark = CLUSTERS
KEY = ledger_key("test", b"1")
Test = Callable[["Users"], Coroutine[Any, Any, None]]


class Users:
    """Views of one store, closed at the end."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._opened: list[Ledger] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for ledger in self._opened:
            await ledger.close()

    def user(self) -> Ledger:
        self._opened.append(self._house.user())
        return self._opened[-1]

    def stranger(self) -> Ledger:
        self._opened.append(self._house.stranger())
        return self._opened[-1]


@pytest.fixture(params=ALL)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    make: Callable[[Path], AbstractContextManager[House]] = request.param
    with make(tmp_path) as made:
        yield made


def run(house: House, test: Test) -> None:
    async def within() -> None:
        async with Users(house) as users:
            await test(users)

    on_loop(within())


def test_a_key_is_new_once_then_pending_then_done(house: House) -> None:
    async def test(users: Users) -> None:
        one, two = users.user(), users.user()
        assert await one.claim(KEY, now=1) == New()
        assert await one.claim(KEY, now=2) == await two.claim(KEY, now=2) == Pending()
        assert await one.complete(KEY, b"plan", now=3) == b"plan"
        assert await one.claim(KEY, now=4) == await two.claim(KEY, now=4) == Done(b"plan")

    run(house, test)


def test_the_first_plan_counts_and_an_empty_one_is_a_plan(house: House) -> None:
    async def test(users: Users) -> None:
        one, two = users.user(), users.user()
        await one.claim(KEY, now=1)
        assert await two.complete(KEY, b"", now=2) == b""
        assert await one.complete(KEY, b"other", now=3) == b""
        assert await one.claim(KEY, now=4) == Done(b"")
        both = await asyncio.gather(*(each.complete(b"unclaimed", each_plan, now=5) for each, each_plan in
                                      ((one, b"1"), (two, b"2"), (one, b"3"))))  # fmt: skip
        assert len(set(both)) == 1

    run(house, test)


def test_what_was_kept_is_found_without_a_claim(house: House) -> None:
    async def test(users: Users) -> None:
        one, two = users.user(), users.user()
        assert await one.find(KEY) is None
        await one.claim(KEY, now=1)
        assert await two.find(KEY) is None
        await one.complete(KEY, b"plan", now=1)
        found = await asyncio.gather(two.find(KEY), two.find(b"unknown"), two.find(KEY))
        assert list(found) == [Done(b"plan"), None, Done(b"plan")]
        assert await two.claim(b"unknown", now=1) == New()

    run(house, test)


def test_only_the_owner_gives_back_what_was_not_begun(house: House) -> None:
    async def test(users: Users) -> None:
        one, two = users.user(), users.user()
        await one.claim(KEY, now=1)
        await two.release(KEY)
        assert await two.claim(KEY, now=1) == Pending()
        await one.release(KEY)
        assert await two.claim(KEY, now=1) == New()
        await two.complete(KEY, b"x", now=1)
        await two.release(KEY)
        await two.release(b"unknown")
        assert await one.claim(KEY, now=1) == Done(b"x")

    run(house, test)


def test_what_a_closed_owner_left_is_lost_and_adopted_once(house: House) -> None:
    async def test(users: Users) -> None:
        dead, one, two = house.user(), users.user(), users.user()
        keys = [ledger_key("n", bytes([at])) for at in range(10)]
        assert await dead.adopt(KEY, now=1) == New()  # as `claim`
        assert await one.adopt(KEY, now=1) == Pending()
        for key in keys:
            await dead.claim(key, now=1)
        await dead.complete(KEY, b"x", now=1)
        await dead.close()
        assert [await two.claim(key, now=2) for key in keys] == [Lost()] * 10
        assert await two.adopt(KEY, now=2) == Done(b"x")
        claims = await asyncio.gather(*(each.adopt(key, now=3) for key in keys for each in (one, two, one)))
        assert claims.count(New()) == 10
        assert claims.count(Pending()) == 20
        with pytest.raises(LedgerUnavailable) if house.name else nullcontext():
            await dead.claim(b"another", now=1)

    run(house, test)


def test_a_lost_claim_can_be_completed_by_anybody_once(house: House) -> None:
    async def test(users: Users) -> None:
        dead, one, two = house.user(), users.user(), users.user()
        await dead.claim(KEY, now=1)
        await dead.close()
        assert await one.claim(KEY, now=2) == Lost()
        first = await asyncio.gather(one.complete(KEY, b"1", now=2), two.complete(KEY, b"2", now=2))
        assert first[0] == first[1]
        assert await two.claim(KEY, now=2) == Done(first[0])

    run(house, test)


def test_old_rows_are_forgotten(house: House) -> None:
    async def test(users: Users) -> None:
        ledger = users.user()
        keys = [ledger_key("n", bytes([at])) for at in range(5)]
        for at, key in enumerate(keys):
            await ledger.claim(key, now=at)
        await ledger.complete(keys[0], b"x", now=9)
        assert await ledger.expire(before=3) == 2
        claims = [await ledger.claim(keys[at], now=9) for at in (0, 1, 3)]
        assert claims == [Done(b"x"), New(), Pending()]

    run(house, test)


def test_users_of_one_store_share_its_id_and_others_have_another(house: House) -> None:
    async def test(users: Users) -> None:
        one, two, other = users.user(), users.user(), users.stranger()
        for each in (one, two, other):
            await each.find(KEY)
        assert len(one.store_id) == STORE_ID_BYTES
        assert one.store_id == two.store_id != other.store_id
        assert await one.claim(KEY, now=1) == await other.claim(KEY, now=1) == New()

    run(house, test)


def test_a_plan_that_is_too_long_is_not_stored(house: House) -> None:
    async def test(users: Users) -> None:
        ledger = users.user()
        await ledger.claim(KEY, now=1)
        with pytest.raises(StateTooLarge):
            await ledger.complete(KEY, bytes((1 << 20) + 1), now=1)
        assert await ledger.claim(KEY, now=1) == Pending()
        assert await ledger.complete(KEY, bytes(1 << 20), now=1) == bytes(1 << 20)

    if house.name:  # memory has no bound
        run(house, test)


def lanes(count: int, work: Callable[[random.Random], Awaitable[None]]) -> Awaitable[list[None]]:
    return asyncio.gather(*(work(random.Random(seed)) for seed in range(count)))


def test_of_many_claims_of_many_keys_each_is_new_once(house: House) -> None:
    async def test(users: Users) -> None:
        views = [users.user() for _ in range(3)]
        keys = [ledger_key("n", bytes([at])) for at in range(100)]
        seen: list[tuple[bytes, Claim]] = []

        async def work(order: random.Random) -> None:
            for key in order.sample(keys, len(keys)):
                ledger = order.choice(views)
                seen.append((key, claim := await ledger.claim(key, now=1)))
                if claim == New():
                    assert await ledger.complete(key, key, now=2) == key

        await lanes(12, work)
        assert {key for key, claim in seen if claim == New()} == set(keys)
        assert Counter(type(claim) for _, claim in seen)[New] == len(keys)
        assert {claim.plan == key for key, claim in seen if isinstance(claim, Done)} == {True}
        assert Lost not in {type(claim) for _, claim in seen}

    run(house, test)


def test_a_cancelled_claim_is_new_to_one_other_at_most(house: House) -> None:
    async def test(users: Users) -> None:
        views = [users.user() for _ in range(2)]
        keys = [ledger_key("n", bytes([at])) for at in range(60)]
        given: list[bytes] = []

        async def work(order: random.Random) -> None:
            for key in order.sample(keys, len(keys)):
                call = asyncio.ensure_future(order.choice(views).claim(key, now=1))
                for _ in range(order.randrange(6)):
                    await asyncio.sleep(0)
                if order.random() < 0.5:
                    call.cancel()
                await asyncio.wait((call,))
                if not call.cancelled() and call.result() == New():
                    given.append(key)

        await lanes(6, work)
        assert len(given) == len(set(given))

    run(house, test)
