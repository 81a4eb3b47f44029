"""The only module that knows redis-py: one connection, and the server's errors as those of a store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from trickles.service import Buffer
from trickleweb.errors import PackageMissing, WebError
from trickleweb.stores.redis.address import RedisUrl

Command = tuple[Buffer | str | int, ...]
_FULL = ("OOM", "used memory", "MISCONF")  # https://redis.io/docs/latest/develop/reference/eviction
Replies = list[Any]  # bytes, integers, None, and lists of them


class RedisAway(WebError):
    """The server cannot be used now: not reachable, refusing, a replica, or too slow. What was sent may be done."""


class RedisFull(RedisAway):
    """The server has no memory for more (maxmemory): the command changed nothing."""


def redis_module() -> Any:
    """Import and return redis.asyncio; raise `PackageMissing`."""
    try:
        import redis.asyncio
    except ImportError:
        raise PackageMissing("a store in Redis needs redis: pip install 'trickles[redis]'") from None
    return redis.asyncio


class RedisConnection:
    """One connection, used by one task at a time."""

    def __init__(self, connection: Any, url: RedisUrl) -> None:
        self._connection = connection
        self._url = url
        self._refused: type[Exception] = redis_module().ResponseError

    @classmethod
    async def opened(cls, url: RedisUrl, limit_s: float) -> RedisConnection:
        """Connect and authenticate; raise `RedisAway`, `PackageMissing`. REDISCLI_AUTH may have the password."""
        module = redis_module()
        password = {} if url.secrets else {"password": os.environ.get("REDISCLI_AUTH") or None}
        try:
            pool = module.ConnectionPool.from_url(
                url.dsn, protocol=2, socket_timeout=None, socket_connect_timeout=limit_s, retry=_never(), **password
            )
            made = cls(pool.make_connection(), url)
            async with asyncio.timeout(limit_s):
                await made._connection.connect()
        except Exception as error:  # noqa: BLE001 - any failure means the same
            raise away(error, url) from None
        return made

    async def call(self, commands: Sequence[Command], limit_s: float | None) -> Replies:
        """Send commands at once; return their replies, of which any may be an error of the server.

        Raise `RedisAway`; then, and when cancelled, the connection must be closed.
        """
        connection = self._connection
        try:
            async with asyncio.timeout(limit_s):
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                return [await self._reply() for _ in commands]
        except Exception as error:  # noqa: BLE001 - as above
            raise away(error, self._url) from None

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except self._refused as error:
            return error

    async def close(self) -> None:
        """Close it at once, without raising."""
        with suppress(Exception):
            self._connection._writer.transport.abort()
            await self._connection.disconnect(nowait=True)
            await asyncio.sleep(0)  # then its transport is closed


def _never() -> Any:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Retry(NoBackoff(), 0)


def checked(replies: Replies, url: RedisUrl) -> Replies:
    """Return replies, none of which is an error; raise `RedisFull` or `RedisAway`."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise away(reply, url)
    return replies


def away(error: BaseException, url: RedisUrl) -> RedisAway:
    """Return the error of a store for one of the driver, the network or the server."""
    if isinstance(error, RedisAway):
        return error
    text = "no reply in time" if isinstance(error, TimeoutError) else url.redacted(str(error)) or type(error).__name__
    kind = RedisFull if any(each in text for each in _FULL) else RedisAway
    return kind(f"{url.shown}: {text}")
