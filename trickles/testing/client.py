"""A client's host: one client engine and the application that uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address

from trickles.testing.clock import Timer
from trickles.testing.curve import DeliveryCurve
from trickles.testing.endpoints import Application, ClientLike, data_of, failure_of
from trickles.testing.network import Node
from trickles.testing.packet import Address, Hop, Packet
from trickles.testing.stats import HostStats
from trickles.testing.world import World


class ClientHost(Node):
    """Drives one engine as a socket driver would, and passes its events to the application.

    With `batching` it flushes once, that many microseconds after the first datagram of a batch (0: for all of one
    moment), as a driver does that empties its socket first; else after each datagram. `finished_at` and `failure` are
    the application's result; an event with a reason of failure sets it too.
    """

    def __init__(
        self,
        world: World,
        name: str,
        engine: ClientLike,
        application: Application,
        address: Address,
        outgoing: Sequence[Hop] = (),
        incoming: Sequence[Hop] = (),
        batching: int | None = None,
    ) -> None:
        super().__init__(name, outgoing, incoming)
        self.engine = engine
        self.address = address
        self.curve = DeliveryCurve()
        self.stats = HostStats()
        self.started_at = 0
        self.finished_at: int | None = None
        self.failure: str | None = None
        self.world = world
        self._application = application
        self._timer = Timer(world.clock, self._handle_timeout)
        self._batching = batching
        self._batch_open = False
        self._paused_until = 0
        self._flow = 0  # of the engine, if it has flows
        self._flows = {0: address}  # the address of each
        self._last_port = address[1]
        world.network.attach(address, self)

    @property
    def now(self) -> int:
        return self.world.clock.now

    @property
    def done(self) -> bool:
        return self.finished_at is not None or self.failure is not None

    def start(self) -> None:
        self.started_at = self.now
        self.stats.lives += 1
        self._application.start(self)
        connect = getattr(self.engine, "connect", None)
        if connect is not None:
            connect(now=self.now)
        self._turn()

    def receive(self, packet: Packet) -> None:
        """Feed the engine, unless the packet is for an address that this client has left."""
        stats = self.stats
        if packet.destination != self.address and packet.destination not in self._flows.values():
            stats.in_vain += 1
            return
        if packet.note is None:
            stats.received += 1
            stats.received_bytes += len(packet.data)
            self.engine.receive_datagram(packet.data, packet.source, now=self.now)
        else:
            stats.unreachable += 1
            self.engine.receive_unreachable(packet.source, now=self.now)
        if self._batching is None:
            self._turn()
        elif not self._batch_open:
            self._batch_open = True
            self.world.clock.after(self._batching, self._close_batch)

    def rebind(self, *, host: bool = False) -> None:
        """Take a new port, with `host` in another network too; packets to the old address are lost from now on."""
        old_host = self.address[0]
        self.move(self._on_next_port(_next_network(old_host) if host else old_host))
        self.world.journal.note(self.now, f"{self.name} is now {self.address[0]}:{self.address[1]}")

    def move(self, address: Address) -> None:
        """Take that address, and leave all others."""
        self._flows, self._last_port = {}, address[1]
        self._use(address)

    def _on_next_port(self, host: str) -> Address:
        self._last_port = self._last_port % 65_535 + 1
        return host, self._last_port

    def _use(self, address: Address) -> None:
        self.address = self._flows[self._flow] = address
        self.world.network.attach(address, self)

    def finish(self) -> None:
        """Note that the application has all it wanted."""
        if not self.done:
            self.finished_at = self.now
            self.world.journal.note(self.now, f"{self.name} finished")

    def fail(self, reason: str) -> None:
        """Note that the application cannot get what it wanted."""
        if not self.done:
            self.failure = reason
            self.world.journal.note(self.now, f"{self.name} failed: {reason}")

    def pause(self, duration: int) -> None:
        """Take no events from the engine for `duration` microseconds, as a slow reader."""
        self._paused_until = max(self._paused_until, self.now + duration)
        self.after(duration, lambda: None)

    def after(self, delay: int, call: Callable[[], object]) -> None:
        """Run `call()` after `delay` microseconds, then send what the engine wants to send."""

        def run() -> None:
            call()
            self._turn()

        self.world.clock.after(delay, run)

    def _close_batch(self) -> None:
        self._batch_open = False
        self._turn()

    def _handle_timeout(self) -> None:
        self.engine.handle_timeout(now=self.now)
        self._turn()

    def _turn(self) -> None:
        engine, now, stats = self.engine, self.world.clock.now, self.stats
        if now >= self._paused_until:
            self._read_events()
        send, datagrams = self.world.network.send, engine.datagrams_to_send(now=now)
        flow = getattr(engine, "flow", 0)
        if flow != self._flow:
            self._flow = flow
            self._use(self._flows.get(flow) or self._on_next_port(self.address[0]))
        for datagram, destination in datagrams:
            stats.sent += 1
            stats.sent_bytes += len(datagram)
            send(self, self.address, destination, datagram)
        self._timer.set(engine.next_timeout())
        if now >= self._paused_until:  # sending may have failed
            self._read_events()

    def _read_events(self) -> None:
        next_event, now = self.engine.next_event, self.now
        while now >= self._paused_until:
            event = next_event()
            if event is None:
                return
            data = data_of(event)
            if data:
                self.curve.add(now, len(data))
            self._application.receive(self, event)
            reason = failure_of(event)
            if reason is not None:
                self.fail(reason)


def _next_network(host: str) -> str:
    """Return the same host in the next /24 (IPv4) or /64 (IPv6)."""
    address = ip_address(host)
    return str(address + (1 << (8 if address.version == 4 else 64)))
