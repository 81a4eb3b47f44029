"""The way to a server: one connection that is opened when it is needed, and the identity of the store found there.

Before a new connection is used, `standing` looks whether the server is fit: a master, that evicts nothing by itself,
with data of this release. The identity is made of 32 random bytes under a key, so a server that lost its memory
(FLUSHALL, a restart without persistence) is another store. Scripts make one where they find none, and leave the number
of the release to the next connection. A server that does not write every command to a log
(`appendonly yes`) forgets the latest commands when it ends, and the rest is there: so its `run_id` is part of the
identity, and each of its starts another store. Scripts that keep something compare the random bytes in the same step.

After an error that is not a server's answer the connection is closed, and the next call opens another, but not before a
pause after a failure: meanwhile calls raise the error at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from trickles.stores import STORE_ID_BYTES
from trickleweb.stores.redis.address import RedisUrl
from trickleweb.stores.redis.driver import Command, RedisAway, RedisConnection, Replies, away, checked, redis_module
from trickleweb.stores.redis.limits import RedisLimits

RELEASE = b"1"
_OPEN = """
local id = redis.call('GET', KEYS[1])
if not id then
    id = ARGV[1]
    redis.call('SET', KEYS[1], id)
end
redis.call('SET', KEYS[2], ARGV[2], 'NX')
return {id, redis.call('GET', KEYS[2])}
"""
_EVICTING = "%s: its maxmemory-policy %s removes keys by itself: set noeviction"


class OtherRedisRelease(RedisAway):
    """The keys under this prefix are of another release."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A server as it was when its connection opened: the random bytes under its key, and the store's identity."""

    mark: bytes
    store_id: bytes


class RedisLink:
    """One connection to a server. Calls wait for each other."""

    def __init__(self, url: RedisUrl, limits: RedisLimits) -> None:
        redis_module()  # or its absence is noticed late
        self.url = url
        self.limits = limits
        self.standing: Standing | None = None  # the last one found
        self._connection: RedisConnection | None = None
        self._turn = asyncio.Lock()
        self._error = RedisAway(f"{url.shown}: not reached yet")
        self._pause = limits.least_pause_s
        self._again_at = 0.0
        self._closed = False

    def key(self, *parts: str) -> str:
        """Return a key under the prefix."""
        return ":".join((self.url.prefix, *parts))

    def check(self) -> None:
        """Raise `RedisAway` if there is no connection, and the last attempt to make one failed."""
        if self._connection is None and self._again_at:
            raise self._error

    async def call(self, *commands: Command, limit_s: float | None = None) -> Replies:
        """Send commands together; return their replies, none an error. Raise `RedisAway`: some may be done."""
        return checked(await self.replies(*commands, limit_s=limit_s), self.url)

    async def replies(self, *commands: Command, limit_s: float | None = None) -> Replies:
        """Send commands together; return their replies, of which any may be a `RedisAway`, as it is raised.

        `limit_s` is by default what the limits say.
        """
        async with self._turn:
            connection = await self._opened()
            try:
                found = await connection.call(commands, limit_s or self.limits.call_s)
            except BaseException as error:
                await self._drop(error)
                raise
        return [away(each, self.url) if isinstance(each, Exception) else each for each in found]

    async def renew(self) -> None:
        """Look at the server's standing again, with the next call."""
        async with self._turn:
            await self._drop(self._error)

    async def script(self, text: str, *arguments: object, keys: Sequence[str] = ()) -> Replies:
        """Run a script, whose reply is a list; its first key is that of the random bytes."""
        named = (self.key("id"), *keys)
        [reply] = await self.call(("EVAL", text, len(named), *named, *arguments))  # type: ignore[arg-type]
        return list(reply)

    async def found(self) -> Standing:
        """Return the server's standing now; raise `RedisAway`."""
        async with self._turn:
            await self._opened()
        assert self.standing is not None
        return self.standing

    async def close(self) -> None:
        """Close the connection, and open no more."""
        self._closed = True
        await self._drop(RedisAway(f"{self.url.shown}: closed"))

    async def _opened(self) -> RedisConnection:
        if self._connection is not None:
            return self._connection
        now = asyncio.get_running_loop().time()
        if self._closed or now < self._again_at:
            raise self._error
        try:
            self._connection = await self._open()
        except RedisAway as error:
            self._error = error
            self._again_at = now + self._pause * random.uniform(0.5, 1)  # so that a fleet does not come back at once
            self._pause = min(2 * self._pause, self.limits.most_pause_s)
            raise
        self._pause, self._again_at = self.limits.least_pause_s, 0.0
        return self._connection

    async def _open(self) -> RedisConnection:
        limit_s = self.limits.connect_s
        connection = await RedisConnection.opened(self.url, limit_s)
        try:
            self.standing = await self._standing(connection, limit_s)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _standing(self, connection: RedisConnection, limit_s: float) -> Standing:
        fresh, names = secrets.token_bytes(STORE_ID_BYTES), (self.key("id"), self.key("release"))
        info = _fields(checked(await connection.call([("INFO",)], limit_s), self.url)[0])
        shown = self.url.shown
        if info.get("role") != "master" or info.get("loading", "0") != "0":
            raise RedisAway(f"{shown}: it is a {info.get('role')}, or still reads its data")
        policy = info.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise RedisAway(_EVICTING % (shown, policy))
        replies = await connection.call([("EVAL", _OPEN, 2, *names, fresh, RELEASE)], limit_s)
        [[mark, release]] = checked(replies, self.url)
        if release != RELEASE or len(mark) != STORE_ID_BYTES:
            raise OtherRedisRelease(
                f"{shown}: the keys {self.url.prefix}:* are of release {release!r}, and this program needs {RELEASE!r}:"
                " use another ?prefix=, or delete them when all replicas have stopped"
            )
        start = b"" if info.get("aof_enabled") == "1" else info.get("run_id", "").encode()
        return Standing(mark, hashlib.sha256(b"trickleweb 1 store in Redis" + mark + start).digest())

    async def _drop(self, error: BaseException) -> None:
        connection, self._connection = self._connection, None
        if isinstance(error, RedisAway):
            self._error = error
        if connection is not None:
            await connection.close()


def _fields(info: bytes) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}
