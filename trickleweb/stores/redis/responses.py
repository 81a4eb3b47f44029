"""Stored responses of replicas on any number of machines, in one Redis server.

Each call is a script, so that the last bytes and the end of a response are one step, and a quota counts what all
replicas store. Those of one turn of the loop go together. A response is in use while its writer's process holds its
lease, and for `least_idle_s` after its last use by a reader; a writer that is gone leaves it CUT.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from trickles.service import Buffer
from trickleweb.errors import ResponseStoreFull, ResponseStoreUnavailable
from trickleweb.response_store import Growth, ResponseBounds, StoredPart
from trickleweb.stores.redis.address import RedisUrl
from trickleweb.stores.redis.driver import RedisAway, RedisFull
from trickleweb.stores.redis.leases import Lease
from trickleweb.stores.redis.limits import RedisLimits
from trickleweb.stores.redis.link import RedisLink
from trickleweb.stores.redis.news import News
from trickleweb.stores.redis.response_scripts import BEGIN, END, READ, TOUCH, WRITE
from trickleweb.stores.redis.scripts import Scripts
from trickleweb.stores.response_room import ResponseAges

_NAME_BYTES, _MOST_CLIENT_BYTES = 16, 16
_MOST_READ_BYTES = 4 << 20
_MOST_TOUCHED = 4096  # names, in a second
_GROWTH = {b"o": Growth.OPEN, b"c": Growth.COMPLETE, b"x": Growth.CUT}
DEFAULT_BOUNDS, DEFAULT_AGES = ResponseBounds(), ResponseAges()
Write = Callable[[bytes, Buffer, str], Coroutine[Any, Any, None]]


class RedisWriter:
    """The writer of one response; `write` stores more of it, `closed` is called at the end."""

    def __init__(self, name: bytes, write: Write, closed: Callable[[bytes], None]) -> None:
        self.name = name
        self._write = write
        self._closed = closed
        self._open = True
        self._complete = False

    async def start(self, head: bytes) -> None:
        await self._write(self.name, head, "h")

    async def append(self, data: Buffer, *, last: bool = False) -> None:
        if not self._open:
            raise ResponseStoreUnavailable("this response has ended")
        await self._write(self.name, data, "l" if last else "b")
        self._complete = self._complete or last

    def close(self) -> None:
        if self._open and not self._complete:
            self._closed(self.name)
        self._open = False


class RedisResponses:
    """A `ResponseStore` in a Redis server. Raises `BadRedisUrl`, and `PackageMissing` without redis-py.

    It connects at the first call or `look`, and again whenever a connection breaks. Call `look` about each second.
    """

    def __init__(
        self,
        url: str | RedisUrl,
        bounds: ResponseBounds = DEFAULT_BOUNDS,
        *,
        ages: ResponseAges = DEFAULT_AGES,
        limits: RedisLimits | None = None,
    ) -> None:
        url = url if isinstance(url, RedisUrl) else RedisUrl.parse(url)
        limits = limits or RedisLimits()
        self._bounds = bounds
        self._ages = ages
        self._link = RedisLink(url, limits)
        self._lease = Lease(self._link)
        self._scripts = Scripts(self._link)
        self._news = News[bytes](RedisLink(url, limits), "rnews", bytes)
        self._touched: dict[bytes, int] = {}
        self._ended: set[bytes] = set()
        self._open: set[bytes] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def store_id(self) -> bytes:
        return self._lease.store_id

    async def open(self) -> None:
        """Connect; raise `ResponseStoreUnavailable` if that fails now. Later calls try again."""
        async with _translated():
            await self._owner()

    async def begin(self, *, client: bytes) -> RedisWriter:
        name = secrets.token_bytes(_NAME_BYTES) + client[:_MOST_CLIENT_BYTES]
        bounds, ages = self._bounds, self._ages
        space = bounds.most_total_bytes, bounds.most_client_bytes
        numbers = bounds.most_responses, bounds.most_client_responses
        async with _translated():
            owner = await self._owner()
            idle = int(ages.most_idle_s), int(ages.least_idle_s)
            why = await self._scripts.run(BEGIN, name, owner, *space, *numbers, *idle)
        if why == [b"fallen"]:
            self._lease.fell()
            raise ResponseStoreUnavailable("stored responses: the lease of this process has ended")
        if why:
            raise ResponseStoreFull(why[0].decode())
        self._open.add(name)
        return RedisWriter(name, self._write, self._end)

    async def read(self, name: bytes, at: int, most: int) -> StoredPart | None:
        if not _NAME_BYTES <= len(name) <= _NAME_BYTES + _MOST_CLIENT_BYTES:
            return None
        async with _translated():
            found = await self._scripts.run(READ, name, at, min(most, _MOST_READ_BYTES))
        if not found:
            return None
        self.note_use(name)
        head, size, growth, data = found
        return StoredPart(head, data, size, _GROWTH[growth])

    def note_use(self, name: bytes, *, over: bool = False) -> None:
        if len(self._touched) < _MOST_TOUCHED:
            self._touched[name] = int(not over)

    async def wait(self, name: bytes, beyond: int) -> None:
        async with _translated():
            await self._news.on(self._link)
        with self._news.waiters.waiting((name,)) as woken, suppress(TimeoutError):
            part = await self.read(name, 0, 0)
            if part is not None and part.growth is Growth.OPEN and part.size <= beyond:
                async with asyncio.timeout(self._link.limits.lease_s / 2):  # a dead writer wakes nobody
                    await woken

    def look(self) -> None:
        """Note uses and ends, without waiting; raise `ResponseStoreUnavailable` while the server cannot be used."""
        self._keep_on()
        try:
            self._link.check()
        except RedisAway as error:
            raise ResponseStoreUnavailable(str(error)) from None

    async def close(self) -> None:
        """Cut the responses that are not complete."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        self._ended |= self._open
        with suppress(RedisAway):
            await self._keep()
        await self._scripts.close()
        await self._news.close()
        await self._lease.close()
        await self._link.close()

    async def _owner(self) -> str:
        if self._closed:
            raise RedisAway("it is closed")
        if self._lease.is_strange:
            self._lease.adopt()
        return (await self._lease.taken())[0]

    async def _write(self, name: bytes, data: Buffer, kind: str) -> None:
        bounds = self._bounds
        space = bounds.most_bytes, bounds.most_total_bytes, bounds.most_client_bytes
        async with _translated():
            what, *why = await self._scripts.run(WRITE, name, bytes(data), kind, *space, int(self._ages.least_idle_s))
        if what == b"full":
            raise ResponseStoreFull(why[0].decode())
        if what == b"ended":
            raise ResponseStoreUnavailable("this response has ended, or is not begun")
        if kind == "l":
            self._open.discard(name)

    def _end(self, name: bytes) -> None:
        self._ended.add(name)
        self._keep_on()

    def _keep_on(self) -> None:
        if (self._keeper is None or self._keeper.done()) and not self._closed:
            self._keeper = asyncio.get_running_loop().create_task(self._keep_house())

    async def _keep_house(self) -> None:
        with suppress(RedisAway):
            await self._owner()
            await self._keep()

    async def _keep(self) -> None:
        while self._ended:
            name = self._ended.pop()
            self._open.discard(name)
            await self._scripts.run(END, name)
        touched, self._touched = self._touched, {}
        if touched:
            await self._scripts.run(TOUCH, *(word for pair in touched.items() for word in pair))


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except RedisFull as error:
        raise ResponseStoreFull(f"stored responses: {error}") from None
    except RedisAway as error:
        raise ResponseStoreUnavailable(f"stored responses: {error}") from None
