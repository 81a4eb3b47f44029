"""A fleet as an upstream: one Trickles connection for each user's connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import final

from trickles.client import Client
from trickles.client.events import Delivery
from trickles.drivers.connection import Connection
from trickles.drivers.dialer import Dialer
from trickles.gateway.context import GatewayContext
from trickles.gateway.upstream import NOTHING_DELIVERED, Activity, Callbacks, InputReader

TOO_LATE = "request not complete in time"


@final
@dataclass(slots=True, eq=False)
class FleetUpstream:
    """Passes bytes, half-closes and back-pressure on; the connection calls the downstream back itself.

    The handshake waits a moment for the user's first bytes; `at_once` it does not, and the downstream is called back
    when the fleet has answered. `requests` reads the input first. `client` is an engine from elsewhere to resume.
    """

    _context: GatewayContext
    _dialer: Dialer
    at_once: bool = field(default=False, kw_only=True)
    requests: InputReader | None = field(default=None, kw_only=True)
    client: Client | None = field(default=None, kw_only=True)
    window_bytes: int = field(init=False)
    _downstream: Callbacks | None = field(default=None, init=False)
    _connection: Connection | None = field(default=None, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        client = self.client
        self.window_bytes = self._dialer.window_bytes if client is None else client.receive_window_bytes

    @property
    def activity(self) -> Activity:
        return Activity.IDLE if self._connection is not None and self._connection.idle else Activity.BUSY

    @property
    def waiting_bytes(self) -> int:
        waiting = self._connection.waiting_bytes if self._connection is not None else 0
        return waiting if self.requests is None else waiting + len(self.requests)

    @property
    def delivery(self) -> Delivery:
        return self._connection.delivery if self._connection is not None else NOTHING_DELIVERED

    def start(self, downstream: Callbacks) -> None:
        self._downstream = downstream
        if self.client is not None:
            self._connection = self._dialer.adopt(self.client, downstream, downstream.share)
            self._connection.wake()
            return
        self._connection = self._dialer.dial(downstream, self._context.kept_input_bytes, downstream.share)
        if self.at_once:
            self._connection.on_connected = downstream.connected
            self._connection.flush_now()
        else:
            loop, patience = asyncio.get_running_loop(), self._context.limits.speak_first_after
            self._timer = loop.call_later(patience, self._connection.flush_now)

    def send(self, data: bytes) -> None:
        if self.requests is None:
            self.write(data)
        else:
            self.requests.read(data)

    def write(self, data: bytes) -> None:
        """Send input past `requests`; it leaves at once."""
        if self._connection is not None:
            if self._timer is not None:
                self._wait_no_more()
            self._connection.send(data)

    def send_eof(self) -> None:
        if self._connection is not None:
            self._wait_no_more()
            self._connection.send_eof()

    def pause(self) -> None:
        """Let the window towards the replicas close."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def request_timed_out(self) -> None:
        """Half-close on behalf of the user; the server answers that."""
        if self._downstream is not None:
            self._downstream.refuse_input(TOO_LATE)
            self.send_eof()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        self.requests = None  # it refers to this upstream: leave no cycle
        self._wait_no_more()
        if connection is not None:
            self._context.statistics.failovers += connection.delivery.failovers
            connection.close()

    def can_move(self, dialer: Dialer | None) -> bool:
        """Return True when another process can resume the engine: of the same fleet, which has answered."""
        connection = self._connection
        known = dialer is self._dialer and self.requests is None
        return known and connection is not None and connection.is_established and not connection.closed

    def suspend(self) -> Client:
        assert self._connection is not None
        return self._connection.suspend()

    def wake(self) -> None:
        if self._connection is not None:
            self._connection.resume()
            self._connection.wake()

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
