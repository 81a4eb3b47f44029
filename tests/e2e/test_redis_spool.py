"""The spool in Redis: what every spool promises, and all that can happen to the server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from tests.support.redis import RedisServer, shared_server
from tests.support.spools import HOST, ONE, OTHER_HOST, TWO, cut
from trickles.drivers.spooldir import SpoolBounds
from trickles.errors import InputBusy
from trickles.promise import Promise
from trickles.spool import STORE_BYTES, Kept, SpoolFull
from trickleweb.stores.redis import OtherRedisRelease, RedisAway, RedisLimits, RedisSpool, spool_reading
from trickleweb.stores.redis.spool_reading import BLOCK_BYTES

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("redis"), pytest.mark.usefixtures("redis_server")]
QUICK = RedisLimits(least_pause_s=0.01, most_pause_s=0.05, call_s=2.0)
names = iter(range(1000))


@pytest.fixture
def url() -> str:
    """A store of its own on the shared server."""
    return shared_server().url(prefix=f"spool{next(names)}")


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server that the test may kill."""
    with RedisServer() as server:
        yield server


@asynccontextmanager
async def opened(
    *urls: str, bounds: SpoolBounds | None = None, limits: RedisLimits = QUICK
) -> AsyncIterator[list[RedisSpool]]:
    """A view of each URL, as replicas have them."""
    made = [RedisSpool(url, bounds, limits) for url in urls]
    try:
        yield made
    finally:
        for each in made:
            await each.close()


async def kept(promise: bytes | Promise[Kept]) -> Kept:
    """What became of a piece."""
    if isinstance(promise, bytes):
        return promise
    future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
    promise.then(future.set_result)
    return await future


async def surely_kept(spool: RedisSpool, offset: int, data: bytes) -> Kept:
    """Write until something became of it, as a client does."""
    while (store := await kept(spool.write(ONE, HOST, offset, data))) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return store


async def asked(call: Callable[[], Any]) -> Any:
    """Ask a spool as a listener does: again in the moment when it has fetched what it lacked."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def again(_: None) -> None:
        try:
            future.set_result(call())
        except InputBusy as busy:
            promise = busy.ready
        else:
            return
        assert promise is not None
        promise.then(again)

    again(None)
    return await future


async def read(spool: RedisSpool, owner: bytes, start: int, stop: int) -> bytes:
    """Committed input, if it is there."""
    return bytes(await asked(lambda: spool.read(owner, start, stop) if spool.holds(owner, start, stop) else b""))


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test to its end."""
    asyncio.run(test)


def test_what_one_wrote_another_reads_and_holes_end_it(url: str) -> None:
    parts = {0: b"0" * 100, 100: b"100" * 100, 400: b"400" * 100, 1000: b"x"}

    async def test() -> None:
        async with opened(url, url) as (one, two):
            stores = await asyncio.gather(*(kept(one.write(ONE, HOST, at, data)) for at, data in parts.items()))
            assert [len(each) for each in stores if isinstance(each, bytes)] == [STORE_BYTES] * 4
            assert await asked(lambda: two.identity) == stores[0]
            assert await asked(lambda: two.holds(ONE, 0, 700))
            assert not await asked(lambda: two.holds(ONE, 0, 701))
            assert not await asked(lambda: two.holds(ONE, 0, 1001))
            assert await asked(lambda: two.read(ONE, 0, 1001)) == b"".join(list(parts.values())[:3])
            assert await asked(lambda: two.read(ONE, 1000, 1001)) == b"x"
            assert not await asked(lambda: two.holds(TWO, 0, 1))
            assert await kept(two.write(ONE, HOST, 700, bytes(300))) == stores[0]
            assert await asked(lambda: one.holds(ONE, 0, 1001))
            assert await asked(lambda: one.read(ONE, 400, 1001)) == parts[400] + bytes(300) + b"x"

    run(test())


@pytest.mark.parametrize("seed", range(6))
def test_any_cut_by_any_replica_reads_as_it_was(url: str, seed: int) -> None:
    chance = Random(seed)
    size = chance.choice([700, 20_000, 3 * BLOCK_BYTES])
    content = chance.randbytes(size)

    async def test() -> None:
        async with opened(url, url, url) as spools:
            pieces = cut(content, iter(lambda: chance.choice([300, 1200, 65_000]), 0))
            chance.shuffle(pieces)
            for offset, data in pieces:
                if chance.random() < 0.1:
                    await asyncio.sleep(0)
                again = chance.choice([1, 1, 2])
                for _ in range(again):
                    assert await kept(chance.choice(spools).write(ONE, HOST, offset, data))
            for spool in spools:
                start = chance.randrange(size)
                assert await read(spool, ONE, start, size) == content[start:]

    run(test())


def test_pieces_of_one_turn_go_together(url: str) -> None:
    async def test() -> None:
        async with opened(url) as [spool]:
            await spool.open()
            content = Random(1).randbytes(300_000)
            pieces = cut(content, iter(lambda: 1200, 0))
            before = int(shared_server().run("INFO", "stats").split("total_commands_processed:")[1].split()[0])
            results = await asyncio.gather(*(kept(spool.write(ONE, HOST, at, data)) for at, data in pieces))
            after = int(shared_server().run("INFO", "stats").split("total_commands_processed:")[1].split()[0])
            assert set(results) == {spool.identity}
            assert after - before < 40, "commands of two scripts, and of INFO"
            assert await read(spool, ONE, 0, len(content)) == content

    run(test())


def test_bounds_of_connection_host_and_store(url: str) -> None:
    bounds = SpoolBounds(most_bytes=1000, most_host_bytes=3000, most_total_bytes=5000)

    async def test() -> None:
        async with opened(url, bounds=bounds) as [spool]:
            with pytest.raises(SpoolFull):
                spool.write(ONE, HOST, 900, bytes(101))
            assert isinstance(await kept(spool.write(ONE, HOST, 0, bytes(900))), bytes)
            for owner in range(2):
                assert isinstance(await kept(spool.write(bytes([owner]) * 32, HOST, 0, bytes(900))), bytes)
            assert isinstance(await kept(spool.write(TWO, HOST, 0, bytes(900))), SpoolFull)
            assert isinstance(await kept(spool.write(TWO, OTHER_HOST, 0, bytes(900))), bytes)
            assert isinstance(await kept(spool.write(b"3" * 32, OTHER_HOST, 0, bytes(900))), bytes)
            assert isinstance(await kept(spool.write(b"4" * 32, OTHER_HOST, 0, bytes(900))), SpoolFull)

    run(test())


def test_what_is_spent_or_old_is_dropped_and_gives_its_room_back(url: str) -> None:
    bounds = SpoolBounds(most_bytes=10_000, most_total_bytes=25_000, most_age=1e6, most_spent_age=0)

    async def test() -> None:
        async with opened(url, bounds=bounds) as [spool]:
            for number in range(10):
                owner = bytes([number]) * 32
                assert isinstance(await kept(spool.write(owner, HOST, 0, bytes(9000))), bytes), number
                spool.discard(owner, 9000)
                spool._swept_at = float("-inf")
                spool.look()
                assert spool._keeper is not None
                await spool._keeper
            names = shared_server().run("KEYS", f"{spool._link.url.prefix}:d:*").split()
            assert len(names) <= 2

    run(test())


@pytest.mark.parametrize("how", ["flush", "forget"])
def test_a_server_that_lost_its_memory_is_another_store(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_reading, "FRESH_S", 0.0)  # as if a second had passed

    async def test(server: RedisServer) -> None:
        async with opened(server.url(), server.url()) as (one, two):
            await one.open()
            before = await kept(one.write(ONE, HOST, 0, b"a" * 1000))
            assert await read(two, ONE, 0, 1000) == b"a" * 1000
            if how == "flush":
                server.run("FLUSHALL")
            else:
                server.kill()
                server.start()
            after = await surely_kept(one, 1000, b"b" * 1000)
            assert isinstance(after, bytes)
            assert after != before
            await one.open()  # as it does each second
            assert one.identity == after
            assert not await asked(lambda: two.holds(ONE, 0, 1000))
            assert two.identity == after
            assert await read(two, ONE, 1000, 2000) == b"b" * 1000
        async with opened(server.url()) as (later,):
            assert await read(later, ONE, 1000, 2000) == b"b" * 1000

    with RedisServer(log=False) as server:
        run(test(server))


def test_no_acknowledged_piece_is_lost_whenever_the_server_is_killed(own: RedisServer) -> None:
    content = Random(3).randbytes(400_000)

    async def test() -> None:
        async with opened(own.url(), own.url()) as (one, two):
            pieces = cut(content, iter(lambda: 2000, 0))
            stores = set[Kept]()

            async def upload() -> None:
                for offset, data in pieces:
                    stores.add(await surely_kept(one, offset, data))

            async def trouble() -> None:
                for _ in range(3):
                    await asyncio.sleep(0.05)
                    await asyncio.to_thread(own.kill)
                    await asyncio.to_thread(own.start)

            await asyncio.gather(upload(), trouble())
            assert len(stores) == 1, "the log has every command, and the identity"
            assert await read(two, ONE, 0, len(content)) == content

    run(test())


def test_while_the_server_is_away_nothing_is_acknowledged_and_callers_learn_that(own: RedisServer) -> None:
    async def test() -> None:
        own.kill()
        async with opened(own.url()) as [spool]:
            with pytest.raises(InputBusy):
                _ = spool.identity
            assert await kept(spool.write(ONE, HOST, 0, b"x")) is None
            with pytest.raises(RedisAway, match="unix://"):
                spool.look()
            own.start()
            assert await surely_kept(spool, 0, b"x") == await asked(lambda: spool.identity)

    run(test())


def test_a_server_without_memory_refuses_pieces(own: RedisServer) -> None:
    async def test() -> None:
        async with opened(own.url()) as [spool]:
            assert isinstance(await kept(spool.write(ONE, HOST, 0, bytes(1000))), bytes)
            own.run("CONFIG", "SET", "maxmemory", "1")
            assert isinstance(await kept(spool.write(ONE, HOST, 1000, bytes(1000))), SpoolFull)
            own.run("CONFIG", "SET", "maxmemory", "0")
            assert isinstance(await kept(spool.write(ONE, HOST, 1000, bytes(1000))), bytes)

    run(test())


def test_servers_that_are_not_fit_are_refused_in_words(own: RedisServer) -> None:
    async def test() -> None:
        own.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        async with opened(own.url()) as [spool]:
            with pytest.raises(RedisAway, match="noeviction"):
                await spool.open()
        own.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
        own.run("REPLICAOF", "127.0.0.1", "1")
        async with opened(own.url()) as [spool]:
            with pytest.raises(RedisAway, match="slave"):
                await spool.open()
        own.run("REPLICAOF", "NO", "ONE")
        own.run("SET", "trickles:id", "x" * 32)
        own.run("SET", "trickles:release", "9")
        async with opened(own.url()) as [spool]:
            with pytest.raises(OtherRedisRelease, match="b'9'"):
                await spool.open()

    run(test())


def test_a_password_is_needed_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "correct horse@staple"

    async def test(server: RedisServer) -> None:
        async with opened(server.url(password="wrong-one"), server.url(), server.url(password=secret)) as spools:
            for spool in spools[:2]:
                with pytest.raises(RedisAway) as caught:
                    await spool.open()
                assert "wrong-one" not in str(caught.value)
            await spools[2].open()
        monkeypatch.setenv("REDISCLI_AUTH", secret)
        async with opened(server.url(), server.tcp_url()) as (one, two):
            await one.open()
            await two.open()
            assert one.identity == two.identity

    with RedisServer(password=f'"{secret}"') as server:
        server.password = secret
        run(test(server))


def test_a_server_that_does_not_reply_holds_nobody_up(own: RedisServer) -> None:
    async def test() -> None:
        limits = RedisLimits(call_s=0.1, connect_s=0.1, least_pause_s=0.01, most_pause_s=0.01)
        async with opened(own.url(), limits=limits) as [spool]:
            assert isinstance(await kept(spool.write(ONE, HOST, 0, b"x")), bytes)
            own.run("CLIENT", "PAUSE", "1000", "ALL")
            assert await kept(spool.write(ONE, HOST, 1, b"y")) is None
            assert await surely_kept(spool, 1, b"y")

    run(test())
