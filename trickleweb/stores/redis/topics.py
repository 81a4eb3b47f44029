"""Topics of replicas on any number of machines, in one Redis server.

Each script is one step, so numbers have no holes, and a key publishes once, whatever dies between. A replica whose
tasks wait reads one stream for all of them, which names the topics with news; a task looks itself before it waits. The
incarnation that readers see depends on the store's identity (`link`): where a server may have forgotten entries when it
started, they get `TopicGap` instead of other entries under known numbers.

A call that raises `TopicsUnavailable` may have published its entry; with a key it is safe to repeat.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from trickles.drivers.world import wall_us
from trickleweb.stores.redis.address import RedisUrl
from trickleweb.stores.redis.driver import RedisAway, RedisFull
from trickleweb.stores.redis.limits import RedisLimits
from trickleweb.stores.redis.link import RedisLink
from trickleweb.stores.redis.news import News
from trickleweb.stores.redis.scripts import Scripts
from trickleweb.stores.redis.topic_scripts import PUBLISH, READ
from trickleweb.topics import (
    DEFAULT_TOPIC_LIMITS,
    PAGE_BYTES,
    TopicEntry,
    TopicLimits,
    TopicPage,
    TopicRange,
    TopicsFull,
    TopicsUnavailable,
    check_entry,
    check_name,
    check_position,
    check_reading,
)

_DAY_S = 86_400


class RedisTopics:
    """`Topics` shared by any number of processes. Raises `BadRedisUrl`, and `PackageMissing`.

    It connects at the first call, and again whenever a connection breaks.
    """

    def __init__(
        self,
        url: str | RedisUrl,
        *,
        limits: TopicLimits = DEFAULT_TOPIC_LIMITS,
        server: RedisLimits | None = None,
        clock_us: Callable[[], int] = wall_us,
    ) -> None:
        url = url if isinstance(url, RedisUrl) else RedisUrl.parse(url)
        server = server or RedisLimits()
        self._limits = limits
        self._clock_us = clock_us
        self._link = RedisLink(url, server)
        self._scripts = Scripts(self._link)
        self._news = News[str](RedisLink(url, server), "news", bytes.decode)
        self._closed = False

    async def publish(self, topic: str, data: bytes, key: str = "") -> int:
        check_entry(topic, data, key, self._limits)
        limits = self._limits
        bounds = limits.entries, limits.topic_bytes, limits.life, limits.key_life, limits.topics, limits.total_bytes
        kept_s = (limits.life + limits.key_life) // 1_000_000 + _DAY_S
        given = topic, bytes(data), key, self._clock_us(), *bounds, secrets.token_hex(4), kept_s
        [number] = await self._script(PUBLISH, *given)
        if isinstance(number, bytes) and not number.isdigit():
            raise TopicsFull(number.decode())
        self._news.waiters.wake((topic,))
        return int(number)

    async def read(self, topic: str, after: int, most: int, incarnation: str = "") -> TopicPage:
        check_reading(topic, after, most, self._limits)
        found, data = await self._read(topic, after, most)
        check_position(topic, after, found, incarnation)
        return TopicPage(tuple(TopicEntry(after + 1 + at, bytes(each)) for at, each in enumerate(data)), found)

    async def kept(self, topic: str) -> TopicRange:
        check_name("topic", topic, self._limits)
        return (await self._read(topic, 0, 0))[0]

    async def wait(self, after: Mapping[str, int]) -> set[str]:
        for topic, number in after.items():
            check_reading(topic, number, 1, self._limits)
        while True:
            async with self._translated():
                await self._news.on(self._link)
            with self._news.waiters.waiting(after) as woken:
                kept = await asyncio.gather(*(self._read(topic, 0, 0) for topic in after))
                news = {
                    topic
                    for (topic, number), (found, _) in zip(after.items(), kept, strict=True)
                    if found.last != number
                }
                if news:
                    return news
                await woken

    async def close(self) -> None:
        """Close the connections; waiting tasks get `TopicsUnavailable`."""
        self._closed = True
        await self._scripts.close()
        await self._link.close()
        await self._news.close()

    async def _read(self, topic: str, after: int, most: int) -> tuple[TopicRange, list[bytes]]:
        found = await self._script(READ, topic, min(after, 1 << 52), most, PAGE_BYTES)  # Lua counts exactly to 2**53
        if not found:
            return TopicRange(), []
        incarnation, first, last, *data = found
        return TopicRange(self._incarnation(incarnation), first, last), data

    def _incarnation(self, kept: bytes) -> str:
        standing = self._link.standing
        assert standing is not None
        return hashlib.sha256(kept + standing.store_id).hexdigest()[:8]

    async def _script(self, text: str, *arguments: object) -> list[Any]:
        async with self._translated():
            return await self._scripts.run(text, *arguments)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        if self._closed:
            raise TopicsUnavailable("the topics are closed")
        try:
            yield
        except RedisFull as error:
            raise TopicsFull(str(error)) from None
        except RedisAway as error:
            raise TopicsUnavailable(str(error)) from None
