"""A client engine on the running asyncio loop: feed, pump, flush, re-arm."""

from __future__ import annotations

import asyncio
from typing import Protocol

from trickles.client import Client, Connected, Data, End, Failed
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import monotonic_us
from trickles.service import Buffer


class Consumer(Protocol):
    """Who takes what a connection brings."""

    def data(self, chunks: list[Buffer]) -> None:
        """Output bytes in order."""

    def consumed(self) -> None:
        """The server took some of the input."""

    def ended(self) -> None:
        """The output is complete."""

    def failed(self, reason: str) -> None:
        """The connection cannot go on."""


class Connection:
    """Drives one client engine; while `paused`, output stays in the engine and its receive window closes."""

    def __init__(self, client: Client, socket: BatchSocket, consumer: Consumer) -> None:
        self.client = client
        self.paused = False
        self.closed = False
        self.started = False
        self._socket = socket
        self._consumer = consumer
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._scheduled = False
        self._consumed = 0
        self._loop.add_reader(socket.fileno(), self._readable)

    def start(self) -> None:
        """Begin the handshake, once the code that runs now had its chance to write early input."""
        self.started = True
        self.client.connect(now=monotonic_us())
        self.flush()

    def flush(self) -> None:
        """Send what is due soon; many calls in one turn of the loop cost one."""
        if not self._scheduled and not self.closed:
            self._scheduled = True
            self._loop.call_soon(self._flush_now)

    def resume(self) -> None:
        """The consumer has room again."""
        self.paused = False
        self.flush()

    def close(self) -> None:
        """Forget the connection; nobody else has to know."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            if self._timer is not None:
                self._timer.cancel()

    def _readable(self) -> None:
        received = self._socket.receive()
        now = monotonic_us()
        receive_burst = self.client.receive_burst
        for buffer, size, source in received:
            receive_burst(buffer, size, source, now=now)
        if not received:
            for replica in self._socket.unreachable():
                self.client.receive_unreachable(replica, now=now)
        self._step(now)

    def _flush_now(self) -> None:
        self._scheduled = False
        self._step(monotonic_us())

    def _timed(self) -> None:
        self._timer = None
        now = monotonic_us()
        if not self.closed:
            self.client.handle_timeout(now=now)
            self._step(now)

    def _step(self, now: int) -> None:
        self._pump()
        if self.closed:
            return
        for datagram, replica in self.client.datagrams_to_send(now=now):
            self._socket.send_one(datagram, replica)
        self._pump()
        self._arm(now)

    def _pump(self) -> None:
        if self.client.state.input.held != self._consumed:
            self._consumed = self.client.state.input.held
            self._consumer.consumed()
        while not self.paused and not self.closed:
            event = self.client.next_event()
            if event is None:
                return
            if isinstance(event, Data):
                self._consumer.data(event.chunks)
            elif isinstance(event, End):
                self._consumer.ended()
            elif isinstance(event, Failed):
                self._consumer.failed(event.reason)
            else:
                assert isinstance(event, Connected)

    def _arm(self, now: int) -> None:
        if self.closed:
            return
        due = self.client.next_timeout()
        if due is None:
            return
        if self._timer is not None:
            if self._timer_at <= due:  # it will look again when it fires
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(max(due - now, 0) / 1e6, self._timed)
