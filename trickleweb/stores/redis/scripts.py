"""Calls of scripts that go together: those of one turn of the loop, or that come while others are on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from trickleweb.errors import LedgerUnavailable
from trickleweb.stores.batches import Batches
from trickleweb.stores.redis.driver import RedisAway
from trickleweb.stores.redis.link import RedisLink


class _Call(NamedTuple):
    script: str
    arguments: tuple[Any, ...]


class Scripts:
    """Scripts on one connection. The first argument of each is the beginning of all keys."""

    def __init__(self, link: RedisLink) -> None:
        limits = link.limits
        self._link = link
        self._calls = Batches[_Call, Any](
            self._batch,
            calls=limits.batch_calls,
            most_bytes=limits.batch_bytes,
            weight=lambda call: sum(len(each) for each in call.arguments if isinstance(each, bytes)),
        )

    async def run(self, text: str, *arguments: object) -> list[Any]:
        """Return a script's reply; raise `RedisAway`, also when it takes too long: it may be done nevertheless."""
        try:
            async with asyncio.timeout(self._link.limits.call_s):
                reply = await self._calls.call(_Call(text, arguments))
        except TimeoutError:
            raise RedisAway(f"{self._link.url.shown}: no reply in time") from None
        except LedgerUnavailable:
            raise RedisAway("it is closed") from None
        if isinstance(reply, Exception):
            raise reply
        return list(reply)

    async def close(self) -> None:
        """End the calls under way."""
        await self._calls.close()

    async def _batch(self, calls: Sequence[_Call]) -> list[Any]:
        link = self._link
        return await link.replies(
            *(("EVAL", each.script, 1, link.key("id"), link.key(""), *each.arguments) for each in calls)
        )
