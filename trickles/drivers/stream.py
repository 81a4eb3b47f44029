"""Byte streams over Trickles for asyncio, in the shape of asyncio's readers and writers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Self

from trickles.client import ClientConfig
from trickles.drivers.connection import Connection
from trickles.drivers.dialer import Dialer, is_numeric
from trickles.errors import ConnectionFailed, LocalProtocolError
from trickles.service import Buffer
from trickles.wire.kinds import Address

HIGH_WATER = 1 << 20
WRITE_HIGH_WATER = 1 << 18


class Stream:
    """One connection: `read`, `write`, `drain`, `write_eof`, `close`, `statistics`; `async with` closes it.

    `read` and `drain` raise ConnectionFailed when the transfer cannot go on, and once the stream is closed.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._chunks: deque[Buffer] = deque()
        self._size = 0
        self._ended = False
        self._wrote_eof = False
        self._failure: str | None = None
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._connection: Connection = dialer.dial(self)
        self._connection.on_connected = self._arrived.set
        self._connection.start()
        self._connection.flush()

    # the connection's consumer

    def data(self, chunks: list[Buffer]) -> None:
        self._chunks.extend(chunks)
        self._size += sum(map(len, chunks))
        if self._size > HIGH_WATER:
            self._connection.pause()
        self._arrived.set()

    def consumed(self) -> None:
        self._drained.set()

    def ended(self) -> None:
        self._ended = True
        self._arrived.set()
        self._drained.set()

    def failed(self, reason: str) -> None:
        """Note a failure, which `read` reports after the bytes that did arrive."""
        self._failure = reason
        self._arrived.set()
        self._drained.set()

    # the user's side

    @property
    def readable(self) -> bool:
        """True when `read` would not wait: there are bytes, or the end, or a failure."""
        return bool(self._chunks) or self._ended or self._failure is not None

    async def handshake(self) -> None:
        """Wait until the fleet has answered; ConnectionFailed when it does not.

        This is optional, for callers that must know before they write. Input written first goes with the handshake.
        """
        while not self._connection.is_established:
            if self._failure is not None:
                raise ConnectionFailed(self._failure)
            self._arrived.clear()
            await self._arrived.wait()

    async def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes (-1: all until the end), b"" at the end; ConnectionFailed when it cannot go on."""
        if size < 0:
            parts = []
            while part := await self.read(HIGH_WATER):
                parts.append(part)
            return b"".join(parts)
        while size and not self._chunks and not self._ended:
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
        if self._connection.paused and self._size < HIGH_WATER // 2:
            self._connection.resume()
        return data

    def write(self, data: bytes) -> None:
        """Queue bytes to the server; LocalProtocolError after `write_eof` or `close`."""
        if self._wrote_eof:
            raise LocalProtocolError("nothing can be written after write_eof or close")
        self._connection.write(data)
        self._connection.flush()

    async def drain(self) -> None:
        """Wait until the queue of bytes to the server is short; ConnectionFailed when they can never be sent.

        Bytes that the server does not want any more, because its answer is complete, count as sent.
        """
        while not self._ended and self._connection.waiting_bytes > WRITE_HIGH_WATER:
            if self._failure is not None:
                raise ConnectionFailed(self._failure)
            self._drained.clear()
            await self._drained.wait()

    def write_eof(self) -> None:
        """End the input; reading goes on."""
        if not self._wrote_eof:
            self._wrote_eof = True
            self._connection.write_eof()
            self._connection.flush()

    def close(self) -> None:
        """Close the connection at once; no server need be informed."""
        self._wrote_eof = True
        self._connection.close()
        if not self._ended and self._failure is None:
            self.failed("closed")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def statistics(self) -> dict[str, int | str]:
        """Return statistics of the transfer; times in microseconds."""
        return self._connection.client.statistics()


async def connect(
    replicas: Sequence[Address], *, config: ClientConfig | None = None, dialer: Dialer | None = None
) -> Stream:
    """Open a byte stream to a fleet; OSError when a replica's name does not resolve.

    The handshake begins with the next turn of the loop, and includes bytes written at once. With a `dialer` its
    replicas and configuration are used, and what its earlier connections learned.
    """
    if dialer is None:
        config = config or ClientConfig()
        if all(is_numeric(host) for host, _ in replicas):
            dialer = Dialer(replicas, config)
        else:  # a resolver may be slow
            dialer = await asyncio.get_running_loop().run_in_executor(None, Dialer, replicas, config)
    return Stream(dialer)
