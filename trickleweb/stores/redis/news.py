"""Names of what has changed, from one stream of the server: read once for all tasks of a process that wait.

A task has the stream read (`on`), looks at its topic or response, and then waits: no news between the two is lost. When
the connection breaks, all are woken, and each looks itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic

from trickleweb.stores.redis.driver import RedisAway
from trickleweb.stores.redis.link import RedisLink
from trickleweb.stores.waiters import Name, Waiters

BLOCK_S = 2.0  # a reading, while there is nothing new
KEPT = 10_000  # of the stream, about
_AT_ONCE = 1000


class News(Generic[Name]):
    """Wakes the tasks that wait for a name. `read` makes a name of the bytes in the stream."""

    def __init__(self, link: RedisLink, stream: str, read: Callable[[bytes], Name]) -> None:
        self.waiters: Waiters[Name] = Waiters()
        self._link = link
        self._stream = link.key(stream)
        self._read: Callable[[bytes], Name] = read
        self._seen = b""
        self._looking: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    async def on(self, link: RedisLink) -> None:
        """Have the stream read from now on; `link` is a connection that does not wait for it."""
        async with self._beginning:
            if self._looking is None or self._looking.done():
                [last] = await link.call(("XREVRANGE", self._stream, "+", "-", "COUNT", 1))
                self._seen = last[0][0] if last else b"0-0"
                self._looking = asyncio.get_running_loop().create_task(self._look())

    async def close(self) -> None:
        """Stop reading, and wake all."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait((self._looking,))
        await self._link.close()
        self.waiters.wake_all()

    async def _look(self) -> None:
        idle = 0
        while idle < 2:
            words = ("XREAD", "COUNT", _AT_ONCE, "BLOCK", int(1000 * BLOCK_S), "STREAMS", self._stream, self._seen)
            try:
                [found] = await self._link.call(words, limit_s=BLOCK_S + self._link.limits.call_s)
            except RedisAway:
                self.waiters.wake_all()
                return
            for _, entries in found or ():
                self._seen = entries[-1][0]
                if len(entries) == _AT_ONCE:  # perhaps more than the stream keeps
                    self.waiters.wake_all()
                self.waiters.wake({self._read(fields[1]) for _, fields in entries if fields})
            idle = 0 if self.waiters.any else idle + 1
