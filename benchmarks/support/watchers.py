"""Many clients of event streams in one process: each checks that it gets every event once, and when."""

import asyncio
import re
import time
from collections.abc import Callable

from benchmarks.support import net

_EVENT = re.compile(rb"data: (\d+) (\d+)\n")
_AT_ONCE = 200  # streams that are being opened


class Watcher(asyncio.Protocol):
    """One client; an event's data is its number in the topic, from 1 on, and the time of its publication in ns."""

    def __init__(self, topic: int, delivered: Callable[[float, float], None]) -> None:
        self.topic = topic
        self.last = self.twice = self.lost = 0
        self.ended = self.began = False
        self.opened = asyncio.get_running_loop().create_future()
        self._delivered = delivered
        self._held = b""
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"GET /topic-%d HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n" % self.topic)

    def data_received(self, data: bytes) -> None:
        held = self._held + data
        if not self.opened.done():
            if b"retry:" not in held:
                self._held = held
                return
            self.opened.set_result(held.startswith(b"HTTP/1.1 200"))
        at = 0
        for found in _EVENT.finditer(held):
            number, at = int(found[1]), found.end()
            self.twice += number <= self.last
            self.lost += max(number - self.last - 1, 0)
            self.last = max(self.last, number)
            self._delivered(int(found[2]) / 1e9, time.monotonic())
        self._held = held[max(at, len(held) - 200) :] if at < len(held) else b""

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended = True
        if not self.opened.done():
            self.opened.set_result(False)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def opened(port: int, count: int, topics: int, delivered: Callable[[float, float], None]) -> list[Watcher]:
    """Open that many streams, evenly over the topics; return those that began."""
    places = asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(at: int) -> Watcher:
        async with places:
            _, watcher = await loop.create_connection(lambda: Watcher(at % topics, delivered), net.LOOPBACK, port)
            watcher.began = await watcher.opened
            return watcher

    return [each for each in await asyncio.gather(*(one(at) for at in range(count))) if each.began]
