"""httpcore's network backend for programs without a loop: connections live on a loop in a thread."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

import httpcore

from trickles.drivers.stream import HIGH_WATER
from trickles.httpx.fleets import Fleets
from trickles.httpx.streams import AsyncFleetBackend, AsyncFleetStream

T = TypeVar("T")
Loop = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class LoopThread:
    """A loop in a thread of its own: from `begin` until `close`, garbage collection, or the program's end.

    A later `begin` starts another. All methods may be called from any other thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: Callable[[], object] = lambda: None
        self._open = set[AsyncFleetStream]()  # closed at the end of the loop

    def begin(self) -> None:
        with self._lock:
            if self._loop is None:
                self._start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop; ReadError when the loop is closed, before or meanwhile."""
        with self._lock:
            if self._loop is None:
                coroutine.close()
                raise httpcore.ReadError("closed")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise httpcore.ReadError("closed") from None
        finally:
            future.cancel()  # after an interrupt

    def opened(self, stream: AsyncFleetStream) -> None:
        """Close that stream by `forget`, or with the loop."""
        self._open.add(stream)

    def forget(self, stream: AsyncFleetStream) -> None:
        with self._lock:
            self._open.discard(stream)
            if self._loop is not None:  # else it is closed
                self._loop.call_soon_threadsafe(stream.close)

    def close(self) -> None:
        with self._lock:
            self._loop = None
            self._end()

    def _start(self) -> None:
        ready = Future[Loop]()
        thread = threading.Thread(target=_serve, args=(ready, self._open), name="trickles.httpx", daemon=True)
        thread.start()
        self._loop, over = ready.result()
        self._end = weakref.finalize(self, _end, self._loop, over, thread)


def _serve(ready: Future[Loop], streams: set[AsyncFleetStream]) -> None:
    async def until_over() -> None:
        over = asyncio.Event()
        ready.set_result((asyncio.get_running_loop(), over))
        await over.wait()
        while streams:
            streams.pop().close()

    asyncio.run(until_over())


def _end(loop: asyncio.AbstractEventLoop, over: asyncio.Event, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(over.set)
    if thread is not threading.current_thread():  # the garbage collector may run there
        thread.join()


class FleetBackend(httpcore.NetworkBackend):
    """Connects to the fleet of a host; hosts without one are refused."""

    def __init__(self, fleets: Fleets, thread: LoopThread) -> None:
        self._inner = AsyncFleetBackend(fleets)
        self._thread = thread

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> FleetStream:
        """Return a connection that a replica has answered; ConnectError, ConnectTimeout."""
        self._thread.begin()
        return FleetStream(self._thread.run(self._inner.connect_tcp(host, port, timeout)), self._thread)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FleetStream(httpcore.NetworkStream):
    """A connection as httpcore's stream. It reads ahead, to wake its thread less often."""

    def __init__(self, inner: AsyncFleetStream, thread: LoopThread) -> None:
        self._inner = inner
        self._thread = thread
        self._ahead = memoryview(b"")
        thread.opened(inner)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read at most so many bytes, b"" at the end; ReadError, ReadTimeout."""
        if not self._ahead:
            self._ahead = memoryview(self._thread.run(self._inner.read(HIGH_WATER, timeout)))
        part, self._ahead = self._ahead[:max_bytes], self._ahead[max_bytes:]
        return bytes(part)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, and wait while the queue is long; WriteError, WriteTimeout."""
        self._thread.run(self._inner.write(buffer, timeout))

    def close(self) -> None:
        self._thread.forget(self._inner)

    def get_extra_info(self, info: str) -> Any:
        """Return `is_readable`, or `statistics` as of `trickles.Stream`."""
        if info == "is_readable":
            return bool(self._ahead) or self._inner.get_extra_info(info)
        return self._statistics() if info == "statistics" else None

    def _statistics(self) -> Any:
        async def statistics() -> Any:
            return self._inner.get_extra_info("statistics")

        try:
            return self._thread.run(statistics())  # on its thread, where nothing changes meanwhile
        except httpcore.ReadError:
            return self._inner.get_extra_info("statistics")  # the loop has ended
