"""A connection: a client engine on the running asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from trickles.client import Client, Connected, Data, End, Failed
from trickles.client.events import Delivery
from trickles.drivers.addresses import Address
from trickles.drivers.ports import Port, Ports
from trickles.drivers.udp import Received
from trickles.drivers.world import monotonic_us
from trickles.limits import SECOND
from trickles.service import Buffer

FORMER_FOR = SECOND  # ports of earlier flows stay open: answers may only be late
MOST_FORMER = 4


class Consumer(Protocol):
    """Receiver of a connection's output and events."""

    def data(self, chunks: list[Buffer]) -> None: ...  # output bytes, in order
    def consumed(self) -> None: ...  # the server took some of the input
    def ended(self) -> None: ...  # the output is complete
    def failed(self, reason: str) -> None: ...  # the connection cannot go on


class FlowControl(Protocol):
    """Bound of the output that a connection keeps or asks for."""

    @property
    def is_stale(self) -> bool: ...  # the bound may have changed since it was last read
    def window_bytes(self) -> int: ...  # the bound
    def note_engine(self, engine_bytes: int) -> None: ...  # bytes kept or asked for now


class Connection:
    """Drives one client engine; while `paused`, output stays in the engine and its receive window closes.

    It holds a UDP socket only while something is under way: a server has no state of an idle client, and for the engine
    a new socket is a change of port. At its end it gives everything back. `on_learned` is called when a replica seems
    silent, and when the connection is over: the engine knows more of its fleet then. Without `flow` only the receive
    window bounds its output.
    """

    def __init__(
        self,
        client: Client,
        ports: Ports,
        consumer: Consumer,
        on_learned: Callable[[Client], None],
        flow: FlowControl | None = None,
    ) -> None:
        self.client = client
        self.paused = False
        self.closed = False
        self._started = False
        self._suspended = False
        self.on_connected: Callable[[], None] | None = None  # called once the fleet has answered
        self._ports = ports
        self._port: Port | None = None
        self._former: dict[int, Port] = {}  # by flow; late answers may come there
        self._former_until = 0
        self._flow_number = client.flow
        self._consumer: Consumer | None = consumer
        self._on_learned = on_learned
        self._flow = flow
        self._loop = asyncio.get_running_loop()
        self._deadlines = ports.deadlines
        self._timer: int | None = None  # the slot of its deadline
        self._timer_at = 0
        self._due: int | None = None
        self._active_at = 0
        self._scheduled = False
        self._taken = 0
        client.on_wake(self.flush)

    @property
    def idle(self) -> bool:
        return self.client.is_idle

    @property
    def is_established(self) -> bool:
        return self.client.is_established

    @property
    def waiting_bytes(self) -> int:
        """Bytes of input that neither the service nor the spool has yet."""
        return self.client.input_waiting

    @property
    def delivery(self) -> Delivery:
        return self.client.delivery

    def write(self, data: bytes) -> None:
        self.client.write(data)

    def write_eof(self) -> None:
        self.client.write_eof()

    def send(self, data: bytes) -> None:
        """Write input and send it; the consumer may be called back before this returns."""
        self.client.write(data)
        self.flush_now()

    def send_eof(self) -> None:
        self.client.write_eof()
        self.flush_now()

    def start(self) -> None:
        """Begin the handshake with the next flush; input written before goes with it."""
        self._started = True
        self.client.connect(now=monotonic_us())

    def flush(self) -> None:
        """Send due datagrams soon; many calls in one turn of the loop cost one."""
        if not self._scheduled and not self.closed:
            self._scheduled = True
            self._loop.call_soon(self._flush_scheduled)

    def flush_now(self) -> None:
        """Send due datagrams now, at first the handshake; the consumer may be called back before this returns."""
        if not self.closed and not self._suspended:
            if not self._started:
                self.start()
            self._step(monotonic_us())

    def pause(self) -> None:
        """Deliver no output until `resume`."""
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self.flush()

    def rejoin(self, replicas: Sequence[Address], ports: Ports) -> None:
        """Replace the fleet's members, and perhaps the kind of socket that reaches them."""
        if self.closed:
            return
        self.client.replace_replicas(replicas, now=monotonic_us())
        if ports is not self._ports:
            self._release()
            self._ports = ports

    def suspend(self) -> Client:
        """Stop, without a timer or a socket; return the engine, with whose state another process may go on."""
        self._suspended = True
        self._rest()
        return self.client

    def wake(self) -> None:
        """Go on after `suspend`, or with an engine from elsewhere."""
        self._started, self._suspended = True, False
        self.flush()

    def close(self) -> None:
        """Close the connection; replicas at work for it get a goodbye, unless another process goes on with it."""
        if not self.closed:
            self.closed = True
            self._on_learned(self.client)
            self._say_goodbye(self.client.leave())
            self._consumer = None  # it may hold this connection: no cycle is left to collect
            if self._flow is not None:
                self._flow.note_engine(0)
        self._rest()

    def _say_goodbye(self, goodbyes: list[tuple[bytes, Address]]) -> None:
        """Send them twice, since one may be lost; replicas notice a client that is silent, too."""
        if goodbyes and not self._suspended:
            if self._port is not None:
                self._send(goodbyes)
            self._ports.send_later(goodbyes)

    def _rest(self) -> None:
        if self._timer is not None:
            self._deadlines.cancel(self._timer, self._timed)
            self._timer = None
        self._release()

    def arrived(self, received: list[Received], unreachable: list[Address]) -> None:
        """Take received datagrams, and destinations where nobody listens."""
        now = monotonic_us()
        receive_burst, due = self.client.receive_burst, bool(unreachable)
        for buffer, size, source in received:
            due = receive_burst(buffer, size, source, now=now) or due
        if unreachable:
            for replica in unreachable:
                self.client.receive_unreachable(replica, now=now)
            self._on_learned(self.client)
        if due or self._timer is None:
            self._step(now)

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        self.flush_now()

    def _step(self, now: int) -> None:
        self._active_at = now
        self._pump()
        if self.closed:
            return
        datagrams = self._asked(now)
        if datagrams and not self._send(datagrams):
            return
        due = self._due = self.client.next_timeout()
        if due is None:
            self._pump()  # it may have failed
        if not self.closed:
            self._arm(now + self._ports.idle_after if due is None else due)

    def _asked(self, now: int) -> list[tuple[bytes, Address]]:
        """Return the due datagrams, which ask for as much output as may be kept now."""
        client, flow = self.client, self._flow
        if flow is None:
            return client.datagrams_to_send(now=now)
        if flow.is_stale:
            client.limit_output(flow.window_bytes())
        datagrams = client.datagrams_to_send(now=now)
        flow.note_engine(client.output_held_bytes)
        return datagrams

    def _send(self, datagrams: list[tuple[bytes, Address]]) -> bool:
        """Send datagrams, on a new port if there is none, or for a new flow; return False when the system has none."""
        port = self._port
        if port is None or self._flow_number != self.client.flow:
            try:
                port = self._change_port()
            except OSError as error:
                if port is None:
                    self._fail(f"no socket: {error.strerror}")
                    return False
        send_one = port.socket.send_one
        for datagram, replica in datagrams:
            send_one(datagram, replica)
        return True

    def _change_port(self) -> Port:
        """Take and return the port of the flow in use; keep others for a while. OSError when the system has no more."""
        flow = self.client.flow
        fresh = self._former.pop(flow, None) or self._ports.take(self)
        if self._port is not None:
            self._former[self._flow_number] = self._port
            self._former_until = monotonic_us() + FORMER_FOR
        if len(self._former) > MOST_FORMER:
            self._ports.discard(self._former.pop(next(iter(self._former))))
        self._port, self._flow_number = fresh, flow
        return fresh

    def _drop_former(self) -> None:
        while self._former:
            self._ports.discard(self._former.popitem()[1])

    def _pump(self) -> None:
        client, consumer = self.client, self._consumer
        if consumer is None:
            return
        if (taken := client.input_taken) != self._taken:
            self._taken = taken
            consumer.consumed()
        while not self.paused and not self.closed:
            event = client.next_event()
            if event is None:
                return
            if isinstance(event, Data):
                consumer.data(event.chunks)
            elif isinstance(event, Connected) and self.on_connected is not None:
                self.on_connected()
            elif isinstance(event, End):
                self.close()
                consumer.ended()
            elif isinstance(event, Failed):
                self._fail(event.reason)

    def _fail(self, reason: str) -> None:
        consumer = self._consumer
        self.close()
        if consumer is not None:
            consumer.failed(reason)

    # time: one timer, replaced only by an earlier one; when it fires early it is set again

    def _arm(self, due: int) -> None:
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._deadlines.cancel(self._timer, self._timed)
        self._timer_at = due
        self._timer = self._deadlines.set(due, self._timed)

    def _timed(self) -> None:
        self._timer = None
        now = monotonic_us()
        if self._former and now >= self._former_until:
            self._drop_former()
        due = self._due
        if due is not None and due <= now:
            due = self._due = self.client.next_timeout() or now  # other connections' datagrams may have put it off
        if due is None:
            self._idle(now)
        elif due > now:
            self._arm(due)
        elif self._port is not None and self._port.passed_over:
            self._port.read()  # it may have the answer
        else:
            self.client.handle_timeout(now=now)
            self._on_learned(self.client)
            self._step(now)

    def _idle(self, now: int) -> None:
        """Give the socket back after a while without anything due."""
        quiet_until = self._active_at + self._ports.idle_after
        if now < quiet_until:
            self._arm(quiet_until)
        else:
            self._release()

    def _release(self) -> None:
        self._drop_former()
        port, self._port = self._port, None
        if port is not None:
            self._ports.give_back(port)
