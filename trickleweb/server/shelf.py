"""Stored responses that this replica knows, and the coroutines that wait for news of them."""

from __future__ import annotations

import asyncio

from trickles.service import Buffer
from trickleweb.cache import LruCache
from trickleweb.response_store import Growth, ResponseStore
from trickleweb.server.errors import NotThisResponse
from trickleweb.server.limits import OVERHEAD_BYTES, ServerLimits
from trickleweb.server.stored import BLOCK_BYTES, Blocks, StoredResponse
from trickleweb.server.tokens.stored import StoredToken
from trickleweb.stores.waiters import Waiters

_KNOWN_BYTES = 8 << 20  # of heads, with what they stand for


class Shelf:
    """Responses by name, all of them soft state; those that this replica does not store itself are read from the store.

    Methods raise `ResponseStoreUnavailable`, and `NotThisResponse` for a response that is not in the store.
    """

    def __init__(self, store: ResponseStore, limits: ServerLimits) -> None:
        self._store = store
        self._blocks = Blocks(limits.stored_bytes)
        self._known: LruCache[bytes, StoredResponse] = LruCache(_KNOWN_BYTES)
        self._waiters = Waiters[bytes]()
        self._looks: dict[bytes, asyncio.Task[None]] = {}

    def clear(self) -> None:
        """Forget all that can be read again."""
        self._known.clear()
        self._blocks.clear()

    async def close(self) -> None:
        looks = list(self._looks.values())
        for each in looks:
            each.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    def begun(self, token: StoredToken, head: bytes) -> StoredResponse:
        """Return a response that this replica begins to store."""
        response = StoredResponse(token, head, self._blocks)
        response.writing()
        self._known.put(token.name, response, len(head) + OVERHEAD_BYTES)
        return response

    def grew(self, response: StoredResponse, data: Buffer, growth: Growth = Growth.OPEN) -> None:
        """Note more bytes of a response that this replica stores, or its end."""
        response.grew(data, response.size + len(data), growth)
        self._waiters.wake((response.token.name,))

    def find(self, name: bytes) -> StoredResponse | None:
        return self._known.get(name)

    def note_use(self, name: bytes, *, over: bool = False) -> None:
        """See `ResponseStore.note_use`."""
        self._store.note_use(name, over=over)

    async def opened(self, token: StoredToken) -> StoredResponse:
        """Return a response that another replica stores, or has stored."""
        if (known := self._known.get(token.name)) is not None:
            return known
        part = await self._store.read(token.name, 0, BLOCK_BYTES)
        if part is None or len(part.head) != token.head_bytes:
            raise NotThisResponse("the response store does not have it")
        response = StoredResponse(token._replace(at=0), part.head, self._blocks)
        response.grew(part.data, part.size, part.growth)
        self._known.put(token.name, response, len(part.head) + OVERHEAD_BYTES)
        return response

    async def load(self, response: StoredResponse, at: int) -> None:
        """Read the block at an offset of the body."""
        part = await self._store.read(response.token.name, at, BLOCK_BYTES)
        if part is None or not part.data:
            raise NotThisResponse("the response store does not have it any more")
        response.read(at, part.data)

    async def news(self, response: StoredResponse) -> None:
        """Wait until there is more of a response, or its end; it may return for no reason."""
        name = response.token.name
        if response.written_here:
            await self._waiters.wait(name)
            return
        look = self._looks.get(name)
        if look is None:
            look = self._looks[name] = asyncio.get_running_loop().create_task(self._look(response))
            look.add_done_callback(lambda done: self._looked(name, done))
        await asyncio.shield(look)

    def _looked(self, name: bytes, look: asyncio.Task[None]) -> None:
        self._looks.pop(name, None)
        if not look.cancelled():
            look.exception()  # if nobody waits any more

    async def _look(self, response: StoredResponse) -> None:
        """Ask the store once for what is new."""
        name = response.token.name
        await self._store.wait(name, response.size)
        part = await self._store.read(name, response.size, BLOCK_BYTES)
        if part is None:
            raise NotThisResponse("the response store does not have it any more")
        response.grew(part.data, part.size, part.growth)
