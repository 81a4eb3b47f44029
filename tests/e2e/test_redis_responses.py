"""Stored responses in Redis: what can happen to the server and to processes; the contract is in the unit tests."""

import asyncio
from contextlib import suppress

import pytest

from tests.support.redis import RedisServer, shared_server
from trickleweb.errors import ResponseStoreFull, ResponseStoreUnavailable
from trickleweb.response_store import Growth, ResponseBounds
from trickleweb.stores.redis import RedisLimits, RedisResponses
from trickleweb.stores.redis.response_scripts import CHUNK_BYTES
from trickleweb.stores.response_room import ResponseAges

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("redis"), pytest.mark.usefixtures("redis_server")]
QUICK = RedisLimits(least_pause_s=0.01, most_pause_s=0.05, call_s=2.0, lease_s=1.0)


def test_a_long_body_is_read_from_any_offset() -> None:
    body = bytes(range(256)) * (3 * CHUNK_BYTES // 256 + 5)

    async def test() -> None:
        store = RedisResponses(shared_server().url(prefix="long"), limits=QUICK)
        writer = await store.begin(client=b"host")
        await writer.start(b"head")
        for at in range(0, len(body), 300_000):
            await writer.append(body[at : at + 300_000], last=at + 300_000 >= len(body))
        for at in (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 7, len(body) - 1, len(body), len(body) + 1):
            part = await store.read(writer.name, at, 2 * CHUNK_BYTES + 3)
            assert part is not None
            assert (part.data, part.size) == (body[at : at + 2 * CHUNK_BYTES + 3], len(body))
        await store.close()

    asyncio.run(test())


def test_what_a_dead_process_wrote_is_cut_when_its_lease_has_ended_and_those_who_wait_learn_it() -> None:
    async def test() -> None:
        url = shared_server().url(prefix="dead")
        here, there = (RedisResponses(url, limits=QUICK) for _ in range(2))
        writer = await here.begin(client=b"host")
        await writer.start(b"head")
        await writer.append(b"half")
        assert here._lease._renewer is not None
        here._lease._renewer.cancel()  # as a process that was stopped
        async with asyncio.timeout(20):
            while (part := await there.read(writer.name, 0, 10)) is not None and part.growth is Growth.OPEN:
                await there.wait(writer.name, 4)
        assert part is not None
        assert (part.data, part.growth) == (b"half", Growth.CUT)
        with pytest.raises(ResponseStoreUnavailable):
            await writer.append(b"more")
        for store in (here, there):
            await store.close()

    asyncio.run(test())


def test_room_is_given_back_by_responses_that_nobody_uses() -> None:
    async def test() -> None:
        bounds = ResponseBounds(most_total_bytes=1000, most_client_bytes=1000)
        store = RedisResponses(
            shared_server().url(prefix="room"), bounds, ages=ResponseAges(least_idle_s=0), limits=QUICK
        )
        for _ in range(10):
            writer = await store.begin(client=b"host")
            await writer.start(b"")
            await writer.append(bytes(900), last=True)
            store.note_use(writer.name, over=True)
            await store._keep()
        held = await store.begin(client=b"host")
        await held.start(b"")
        await held.append(bytes(900))
        with pytest.raises(ResponseStoreFull):
            await held.append(bytes(200))
        await store.close()

    asyncio.run(test())


def test_a_server_that_is_away_full_or_forgets() -> None:
    async def test(server: RedisServer) -> None:
        store = RedisResponses(server.url(), limits=QUICK)
        writer = await store.begin(client=b"host")
        await writer.start(b"head")
        server.run("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(ResponseStoreFull):
            await writer.append(bytes(1000))
        server.run("CONFIG", "SET", "maxmemory", "0")
        server.kill()
        for _ in range(2):  # the connection breaks, and there is no other one
            with pytest.raises(ResponseStoreUnavailable, match="unix://"):
                await store.read(writer.name, 0, 10)
        with pytest.raises(ResponseStoreUnavailable):
            store.look()
        before = store.store_id
        server.start()
        async with asyncio.timeout(20):
            found = None
            while found is None:
                with suppress(ResponseStoreUnavailable):
                    found = await store.begin(client=b"host")
                await asyncio.sleep(0.01)
        await found.start(b"new")
        assert store.store_id != before, "it kept nothing on its disk"
        assert await store.read(writer.name, 0, 10) is None
        await store.close()

    with RedisServer(log=False) as server:
        asyncio.run(test(server))
