"""A response store in memory: for tests, for one process, and as the simple model of every response store."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from trickles.service import Buffer
from trickles.stores import STORE_ID_BYTES
from trickleweb.errors import ResponseStoreFull, ResponseStoreUnavailable
from trickleweb.response_store import Growth, ResponseBounds, StoredPart
from trickleweb.stores.waiters import Waiters

_NAME_BYTES = 16


@dataclass(slots=True)
class _Stored:
    """One response."""

    client: bytes
    head: bytes | None = None
    body: bytearray = field(default_factory=bytearray)
    growth: Growth = Growth.OPEN

    @property
    def byte_count(self) -> int:
        return len(self.head or b"") + len(self.body)


@dataclass(slots=True)
class SharedResponses:
    """Responses of the virtual replicas of one process, and the coroutines that wait for them."""

    bounds: ResponseBounds = field(default_factory=ResponseBounds)
    stored: dict[bytes, _Stored] = field(default_factory=dict)
    waiters: Waiters[bytes] = field(default_factory=Waiters[bytes])
    store_id: bytes = field(default_factory=lambda: secrets.token_bytes(STORE_ID_BYTES))

    def room_for(self, client: bytes) -> int:
        """Return how many more bytes that client may store."""
        usage = [(each.client == client, each.byte_count) for each in self.stored.values()]
        total, own = sum(size for _, size in usage), sum(size for is_own, size in usage if is_own)
        return min(self.bounds.most_total_bytes - total, self.bounds.most_client_bytes - own)


class _Writer:
    """The writer of one response."""

    def __init__(self, shared: SharedResponses, client: bytes, closed: Callable[[_Writer], None]) -> None:
        self.name = secrets.token_bytes(_NAME_BYTES)
        self._shared = shared
        self._closed = closed
        self._stored = shared.stored[self.name] = _Stored(client)

    async def start(self, head: bytes) -> None:
        if self._stored.head is not None:
            raise ResponseStoreUnavailable("this response has begun")
        self._admit(len(head))
        self._stored.head = head

    async def append(self, data: Buffer, *, last: bool = False) -> None:
        if self._stored.head is None:
            raise ResponseStoreUnavailable("this response has not begun")
        self._admit(len(data))
        self._stored.body += data
        if last:
            self._end(Growth.COMPLETE)
        else:
            self._shared.waiters.wake((self.name,))

    def close(self) -> None:
        self._closed(self)
        if self._stored.growth is Growth.OPEN:
            self._end(Growth.CUT)
        if self._stored.head is None:
            self._shared.stored.pop(self.name, None)

    def _admit(self, byte_count: int) -> None:
        if self._stored.growth is not Growth.OPEN:
            raise ResponseStoreUnavailable("this response has ended")
        if self._stored.byte_count + byte_count > self._shared.bounds.most_bytes:
            raise ResponseStoreFull("a response exceeds the bound of one")
        if byte_count > self._shared.room_for(self._stored.client):
            raise ResponseStoreFull("the stored responses leave no room")

    def _end(self, growth: Growth) -> None:
        self._stored.growth = growth
        self._shared.waiters.wake((self.name,))


class MemoryResponses:
    """One virtual replica's view of shared responses; `close` ends it as the death of its process would."""

    def __init__(self, shared: SharedResponses | None = None) -> None:
        self._shared = shared or SharedResponses()
        self._writers: set[_Writer] = set()

    @property
    def store_id(self) -> bytes:
        return self._shared.store_id

    async def begin(self, *, client: bytes) -> _Writer:
        stored = self._shared.stored.values()
        own = sum(each.client == client for each in stored)
        bounds = self._shared.bounds
        if len(stored) >= bounds.most_responses or own >= bounds.most_client_responses:
            raise ResponseStoreFull("too many responses are stored")
        if self._shared.room_for(client) <= 0:
            raise ResponseStoreFull("the stored responses leave no room")
        writer = _Writer(self._shared, client, self._writers.discard)
        self._writers.add(writer)
        return writer

    async def read(self, name: bytes, at: int, most: int) -> StoredPart | None:
        found = self._shared.stored.get(name)
        if found is None or found.head is None:
            return None
        return StoredPart(found.head, bytes(found.body[at : at + most]), len(found.body), found.growth)

    def note_use(self, name: bytes, *, over: bool = False) -> None:
        """Change nothing: all are kept."""

    async def wait(self, name: bytes, beyond: int) -> None:
        found = self._shared.stored.get(name)
        if found is not None and found.growth is Growth.OPEN and len(found.body) <= beyond:
            await self._shared.waiters.wait(name)

    def close(self) -> None:
        """Cut the responses that are not complete."""
        for writer in list(self._writers):
            writer.close()
