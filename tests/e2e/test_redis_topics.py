"""Topics in Redis: the contract of all topics, and what can happen to the server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.redis import RedisServer, shared_server
from tests.support.topics_contract import SMALL, Time, TopicsContract, Views
from trickleweb.stores.redis import RedisLimits, RedisTopics
from trickleweb.topics import TopicGap, TopicLimits, Topics, TopicsFull, TopicsUnavailable

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("redis"), pytest.mark.usefixtures("redis_server")]
QUICK = RedisLimits(least_pause_s=0.01, most_pause_s=0.05, call_s=2.0)
names = iter(range(1000))


class TestRedis(TopicsContract):
    @pytest.fixture
    def views(self) -> Views:
        @asynccontextmanager
        async def opened(clock: Time, limits: TopicLimits, count: int) -> AsyncIterator[list[Topics]]:
            url = shared_server().url(prefix=f"topics{next(names)}")
            made = [RedisTopics(url, limits=limits, clock_us=clock, server=QUICK) for _ in range(count)]
            yield list(made)
            for each in made:
                await each.close()

        return opened


async def news(topics: Topics, after: int) -> set[str]:
    """News, once the server is there again."""
    while True:
        try:
            return await topics.wait({"a": after})
        except TopicsUnavailable:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("log", [True, False], ids=["log", "forgets"])
def test_a_server_that_starts_again_keeps_what_it_wrote_or_tells_of_a_gap(log: bool) -> None:
    async def test(server: RedisServer) -> None:
        topics, other = (RedisTopics(server.url(), server=QUICK) for _ in range(2))
        assert await topics.publish("a", b"1", "k") == 1
        before = await topics.kept("a")
        waits = asyncio.create_task(other.wait({"a": 1}))
        await asyncio.sleep(0.1)
        server.kill()
        with pytest.raises(TopicsUnavailable, match="unix://"):
            await waits
        with pytest.raises(TopicsUnavailable):
            await topics.publish("a", b"2")
        waits = asyncio.create_task(news(other, 1))
        server.start()
        while True:
            try:
                number = await topics.publish("a", b"1", "k")
                break
            except TopicsUnavailable:
                await asyncio.sleep(0.01)
        assert number == 1
        if log:
            assert (await topics.read("a", 0, 9, before.incarnation)).entries[0].data == b"1"
        else:
            with pytest.raises(TopicGap):
                await topics.read("a", 1, 9, before.incarnation)
        assert await topics.publish("a", b"2") == 2
        assert await waits == {"a"}
        for each in (topics, other):
            await each.close()

    with RedisServer(log=log) as server:
        asyncio.run(test(server))


def test_a_full_server_publishes_nothing_and_a_closed_store_ends_those_who_wait() -> None:
    async def test(server: RedisServer) -> None:
        topics = RedisTopics(server.url(), server=QUICK)
        assert await topics.publish("a", b"1") == 1
        server.run("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(TopicsFull):
            await topics.publish("a", b"2")
        server.run("CONFIG", "SET", "maxmemory", "0")
        assert await topics.publish("a", b"2") == 2
        waits = asyncio.create_task(topics.wait({"a": 2}))
        await asyncio.sleep(0.05)
        await topics.close()
        with pytest.raises(TopicsUnavailable, match="closed"):
            await waits

    with RedisServer() as server:
        asyncio.run(test(server))


def test_old_topics_give_their_bytes_back() -> None:
    async def test() -> None:
        clock, prefix = Time(), f"topics{next(names)}"
        topics = RedisTopics(shared_server().url(prefix=prefix), limits=SMALL, clock_us=clock, server=QUICK)
        for name in "abc":
            await topics.publish(name, bytes(10))
        clock.now += 3000
        for _ in range(3):
            await topics.publish("b", b"1")
        assert shared_server().run("GET", f"{prefix}:topicbytes") == "3"
        assert (await topics.kept("a")).incarnation == ""
        await topics.close()

    asyncio.run(test())
