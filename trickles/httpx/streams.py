"""httpcore's network backend for asyncio: connections to fleets in place of TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

from trickles.drivers.stream import Stream
from trickles.errors import TricklesError
from trickles.httpx.fleets import Fleets

Failure = type[httpcore.NetworkError]
Timeout = type[httpcore.TimeoutException]


class AsyncFleetBackend(httpcore.AsyncNetworkBackend):
    """Connects to the fleet of a host; hosts without one are refused."""

    def __init__(self, fleets: Fleets) -> None:
        self._fleets = fleets

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> AsyncFleetStream:
        """Return a connection that a replica has answered; ConnectError, ConnectTimeout."""
        line = self._fleets.find(host, port)
        if line is None:
            raise httpcore.ConnectError(f"no fleet of this transport answers for {host}:{port}")
        with failing_as(httpcore.ConnectError, httpcore.ConnectTimeout):
            async with asyncio.timeout(timeout):
                return AsyncFleetStream(await line.connect())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class AsyncFleetStream(httpcore.AsyncNetworkStream):
    """A connection as httpcore's stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read at most so many bytes, b"" at the end; ReadError, ReadTimeout."""
        with failing_as(httpcore.ReadError, httpcore.ReadTimeout):
            async with asyncio.timeout(timeout):
                return await self._stream.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, and wait while the queue is long; WriteError, WriteTimeout."""
        with failing_as(httpcore.WriteError, httpcore.WriteTimeout):
            self._stream.write(buffer)
            async with asyncio.timeout(timeout):
                await self._stream.drain()

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Return `is_readable`, or `statistics` as of `trickles.Stream`."""
        if info == "is_readable":
            return self._stream.readable
        return self._stream.statistics() if info == "statistics" else None


@contextmanager
def failing_as(failure: Failure, timeout: Timeout) -> Iterator[None]:
    """Raise errors of the block as httpcore's."""
    try:
        yield
    except TimeoutError as error:
        raise timeout("the fleet took too long") from error
    except (TricklesError, OSError) as error:
        raise failure(str(error)) from error
