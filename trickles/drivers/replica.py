"""One replica: a listener on a UDP socket, as a blocking loop or on an asyncio loop."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from trickles.drivers.batch import cut
from trickles.drivers.bookkeeping import failures
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import monotonic_us, wall_us
from trickles.listener import Listener
from trickles.wire.kinds import Burst

if TYPE_CHECKING:
    import asyncio

_LOGGER = logging.getLogger("trickles.replica")
_REPORT_EVERY_US = 1_000_000
_PAUSE_SECONDS = 0.01  # after a failure to receive


class Replica:
    """Feeds a listener from a socket and sends its answers.

    `packets_in`, `packets_out` and `bytes_out` count datagrams and their bytes. An exception while handling one (no
    memory, for example) is counted, and logged once a second; only that datagram is lost.
    """

    def __init__(self, listener: Listener, socket: BatchSocket) -> None:
        self.listener = listener
        self.socket = socket
        self.packets_in = 0
        self.bytes_out = 0
        self._reported_at = -_REPORT_EVERY_US

    @property
    def packets_out(self) -> int:
        return self.socket.counters.sent

    def drain(self, limit: int = 16) -> None:
        handle, send = self.listener.handle, self.socket.send
        for buffer, size, source in self.socket.receive(limit):
            now = wall_us()
            for datagram in cut(buffer, size):
                self.packets_in += 1
                try:
                    for burst in handle(bytes(datagram), source, now=now):
                        send(burst)
                        self.bytes_out += sum(map(len, burst.buffers))
                except Exception as error:  # noqa: BLE001 - no datagram may end the service
                    self.failed(error)

    def flush(self) -> None:
        """Send what is due."""
        self._send(lambda: self.listener.poll(wall_us()))

    def _send(self, take: Callable[[], list[Burst]]) -> None:
        try:
            for burst in take():
                self.socket.send(burst)
                self.bytes_out += sum(map(len, burst.buffers))
        except Exception as error:  # noqa: BLE001 - as above
            self.failed(error)

    def failed(self, error: Exception) -> None:
        """Count an unexpected exception, and log it at times."""
        failures["replica"] += 1
        now = monotonic_us()
        if now - self._reported_at >= _REPORT_EVERY_US:
            self._reported_at = now
            _LOGGER.error("a datagram could not be handled", exc_info=error)


def run(replica: Replica, *, stop_fd: int = -1, tick: Callable[[], None] | None = None, every: float = 1.0) -> None:
    """Serve in a blocking loop, for services that never defer; returns when `stop_fd` becomes readable.

    `tick` is called about every `every` seconds, whatever the wall clock does.
    """
    poller = select.poll()
    descriptor = replica.socket.fileno()
    poller.register(descriptor, select.POLLIN)
    if stop_fd >= 0:
        poller.register(stop_fd, select.POLLIN)
    next_tick = monotonic_us()
    while True:
        ready = poller.poll(every * 1000)
        if any(each == stop_fd for each, _ in ready):
            return
        if ready:
            _receive(replica)
        replica.flush()
        if tick is not None and monotonic_us() >= next_tick:
            tick()
            next_tick = monotonic_us() + int(every * 1_000_000)


def _receive(replica: Replica) -> None:
    try:
        replica.drain()
    except Exception as error:  # noqa: BLE001 - only a signal ends a replica
        replica.failed(error)
        time.sleep(_PAUSE_SECONDS)


class AsyncReplica(Replica):
    """A replica on the running asyncio loop, for services that defer."""

    def __init__(self, listener: Listener, socket: BatchSocket) -> None:
        import asyncio  # a replica in a blocking loop starts sooner without it

        super().__init__(listener, socket)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        listener.on_ready = self._ready
        self._loop.add_reader(socket.fileno(), self._readable)

    def close(self) -> None:
        """Stop serving; the socket stays open."""
        self._loop.remove_reader(self.socket.fileno())
        self.listener.on_ready = None
        if self._timer is not None:
            self._timer.cancel()

    def _ready(self) -> None:
        self._send(self.listener.resolved)

    def _readable(self) -> None:
        _receive(self)
        self._arm()

    def _arm(self) -> None:
        """Poll the listener again when it is due: one timer, replaced only by an earlier one."""
        due = self.listener.next_timeout()
        if due is None or (self._timer is not None and self._timer_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(max(due - wall_us(), 0) / 1e6, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.flush()
        self._arm()
