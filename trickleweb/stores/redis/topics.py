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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from trickles.drivers.world import wall_us
from trickleweb.errors import LedgerUnavailable
from trickleweb.stores.batches import Batches
from trickleweb.stores.redis.address import RedisUrl
from trickleweb.stores.redis.driver import Command, RedisAway, RedisFull
from trickleweb.stores.redis.limits import RedisLimits
from trickleweb.stores.redis.link import RedisLink
from trickleweb.stores.redis.topic_scripts import PUBLISH, READ
from trickleweb.stores.waiters import Waiters
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

T = TypeVar("T")
BLOCK_S = 2.0  # a read of the stream, while nothing is published
_DAY_S = 86_400
_READ_NEWS = 1000  # entries of the stream, at once


class _Asked(NamedTuple):
    script: str
    arguments: tuple[Any, ...]


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
        self._server = server = server or RedisLimits()
        self._limits = limits
        self._clock_us = clock_us
        self._link = RedisLink(url, server)
        self._news = RedisLink(url, server)
        self._calls = Batches[_Asked, Any](
            self._batch,
            calls=server.batch_calls,
            most_bytes=server.batch_bytes,
            weight=lambda asked: sum(len(each) for each in asked.arguments if isinstance(each, bytes)),
        )
        self._waiters = Waiters[str]()
        self._seen = b""  # of the stream
        self._looking: asyncio.Task[None] | None = None
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
        self._waiters.wake((topic,))
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
            await self._look_on()
            with self._waiters.waiting(after) as woken:
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
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait((self._looking,))
        await self._calls.close()
        await self._link.close()
        await self._news.close()
        self._waiters.wake_all()

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
        async def called() -> list[Any]:
            reply = await self._calls.call(_Asked(text, arguments))
            if isinstance(reply, Exception):
                raise reply
            return list(reply)

        return await self._translated(called())

    async def _translated(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._server.call_s):
                return await work
        except RedisFull as error:
            raise TopicsFull(str(error)) from None
        except (RedisAway, LedgerUnavailable) as error:
            raise TopicsUnavailable("the topics are closed" if self._closed else str(error)) from None
        except TimeoutError:
            raise TopicsUnavailable(f"{self._link.url.shown}: no reply in time") from None

    async def _batch(self, asked: Sequence[_Asked]) -> list[Any]:
        link = self._link
        commands: list[Command] = [
            ("EVAL", each.script, 1, link.key("id"), link.key(""), *each.arguments) for each in asked
        ]
        return await link.replies(*commands)

    async def _look_on(self) -> None:
        """Have the stream read from now on."""
        if self._closed:
            raise TopicsUnavailable("the topics are closed")
        if self._looking is None or self._looking.done():
            [last] = await self._translated(
                self._link.call(("XREVRANGE", self._link.key("news"), "+", "-", "COUNT", 1))
            )
            if self._looking is None or self._looking.done():
                self._seen = last[0][0] if last else b"0-0"
                self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Read the stream as long as tasks wait, and wake those whose topic is named."""
        idle = 0
        while idle < 2:
            reading = ("XREAD", "COUNT", _READ_NEWS, "BLOCK", int(1000 * BLOCK_S), "STREAMS", self._news.key("news"))
            try:
                [found] = await self._news.call((*reading, self._seen), limit_s=BLOCK_S + self._server.call_s)
            except RedisAway:
                self._waiters.wake_all()  # each looks itself, and gets the error or its news
                return
            for _, entries in found or ():
                self._seen = entries[-1][0]
                if len(entries) == _READ_NEWS:  # perhaps more than the stream keeps
                    self._waiters.wake_all()
                self._waiters.wake({fields[1].decode("utf-8") for _, fields in entries if fields})
            idle = 0 if self._waiters.any else idle + 1
