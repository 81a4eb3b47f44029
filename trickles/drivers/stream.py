"""`connect()`: a byte stream over Trickles for asyncio, in the shape of asyncio's readers and writers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from trickles.client import ClientConfig
from trickles.drivers.connection import Connection
from trickles.drivers.dialer import Dialer
from trickles.errors import ConnectionFailed
from trickles.service import Buffer
from trickles.wire.kinds import Address

HIGH_WATER = 1 << 20
WRITE_HIGH_WATER = 1 << 18


class Stream:
    """One connection: `read`, `write`, `drain`, `write_eof`, `close`, `statistics`."""

    def __init__(self) -> None:
        self._chunks: deque[Buffer] = deque()
        self._size = 0
        self._ended = False
        self._failure: str | None = None
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._connection: Connection | None = None

    # the connection's consumer

    def data(self, chunks: list[Buffer]) -> None:
        """Output bytes in order."""
        self._chunks.extend(chunks)
        self._size += sum(map(len, chunks))
        if self._size > HIGH_WATER:
            self._driver.paused = True
        self._arrived.set()

    def consumed(self) -> None:
        """The server took some of the input."""
        self._drained.set()

    def ended(self) -> None:
        """The output is complete."""
        self._ended = True
        self._arrived.set()

    def failed(self, reason: str) -> None:
        """The connection cannot go on; `read` raises ConnectionFailed after the bytes that did arrive."""
        self._failure = reason
        self._arrived.set()
        self._drained.set()

    # the user's side

    @property
    def _driver(self) -> Connection:
        assert self._connection is not None
        return self._connection

    async def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (-1: all until the end), b"" at the end; ConnectionFailed when it cannot go on."""
        if size < 0:
            parts = []
            while part := await self.read(HIGH_WATER):
                parts.append(part)
            return b"".join(parts)
        while not self._chunks and not self._ended:
            if self._failure is not None:
                raise ConnectionFailed(self._failure)
            self._arrived.clear()
            await self._arrived.wait()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken: list[Buffer] = []
        while self._chunks and size > 0:
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(memoryview(chunk)[size:])
                chunk = memoryview(chunk)[:size]
            taken.append(chunk)
            size -= len(chunk)
        data = b"".join(taken)
        self._size -= len(data)
        if self._driver.paused and self._size < HIGH_WATER // 2:
            self._driver.resume()
        return data

    def write(self, data: bytes) -> None:
        """Queue bytes to the server."""
        self._driver.client.write(data)
        self._driver.flush()

    async def drain(self) -> None:
        """Wait until the queue of bytes to the server is short again."""
        while self._failure is None and len(self._driver.client.state.input) > WRITE_HIGH_WATER:
            self._drained.clear()
            await self._drained.wait()

    def write_eof(self) -> None:
        """Nothing more will be written; reading goes on."""
        self._driver.client.write_eof()
        self._driver.flush()

    def close(self) -> None:
        """Forget the connection."""
        self._driver.close()

    def statistics(self) -> dict[str, int | str]:
        """Figures of the transfer; times in microseconds."""
        return self._driver.client.statistics()


async def connect(
    replicas: Sequence[Address], *, config: ClientConfig | None = None, dialer: Dialer | None = None
) -> Stream:
    """Open a byte stream to a fleet; OSError when a replica's name does not resolve.

    The handshake begins with the next turn of the loop, so that bytes written at once ride on it.
    """
    stream = Stream()
    dialer = dialer or Dialer(replicas, config or ClientConfig())
    stream._connection = dialer.dial(stream)
    stream._connection.start()
    return stream
