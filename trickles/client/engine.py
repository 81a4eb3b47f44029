"""The client engine: one connection, all of its state, no sockets and no clock.

Feed it datagrams, unreachable replicas and timeouts; send the `datagrams_to_send`; call again at `next_timeout`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from trickles.client.config import ClientConfig
from trickles.client.events import ClientEvent, Connected, Data, Delivery, End, Failed
from trickles.client.fleet import ReplicaSet
from trickles.client.handshake import Handshake
from trickles.client.liveness import Liveness
from trickles.client.packets import PacketBuilder
from trickles.client.parts import Parts
from trickles.client.receiving import Receiver
from trickles.client.requests import InFlight
from trickles.client.sending import Sender
from trickles.client.snapshot import MOST_REPLICAS, RESERVED_NUMBERS, Snapshot
from trickles.errors import BadPacket, ConnectionFailed, Forged, IdentityError, LocalProtocolError
from trickles.service import Buffer
from trickles.trickle import Course
from trickles.wire.hello import Certificate
from trickles.wire.kinds import Address
from trickles.wire.response import TransportFrame

DEFAULT_CONFIG = ClientConfig()


class Client:
    """One connection to a fleet; times are monotonic microseconds."""

    def __init__(
        self,
        replicas: Sequence[Address],
        *,
        entropy: Callable[[int], bytes],
        config: ClientConfig = DEFAULT_CONFIG,
        liveness: Liveness | None = None,
    ) -> None:
        """Share `liveness` with other connections of this process; without it, ask for this one alone."""
        fleet = ReplicaSet(replicas, config.policy, config.first or 0)
        secret = entropy(32)
        self._parts = parts = Parts.new(config, fleet, secret, liveness)
        self._handshake = Handshake(config, fleet, secret)
        self._packets = PacketBuilder(parts)
        self._sender = Sender(parts, self._packets)
        self._receiver = Receiver(parts, self._handshake)
        self._events: deque[ClientEvent] = deque()
        self._failed = False
        self._ended = False
        self._announced = False
        self._kept = 0, 0  # numbers used when the last snapshot was taken
        self._resumed_with: tuple[int, int, TransportFrame | None] = -1, 0, None  # numbers and continuation

    @classmethod
    def resume(
        cls,
        replicas: Sequence[Address],
        snapshot: Snapshot,
        config: ClientConfig = DEFAULT_CONFIG,
        liveness: Liveness | None = None,
    ) -> Client:
        """Resume a connection; its output continues where it had been taken out, and no Connected comes again.

        ValueError without replicas, BadPacket when its suite is not that of `config` or its certificate is malformed,
        IdentityError when its fleet is another one, or not trusted, ConnectionFailed when it was resumed more than
        MOST_RESUMES times without an answer in between.
        """
        if snapshot.suite is not config.suite:
            raise BadPacket("a connection of another suite")
        if snapshot.resumed_too_often(config.limits):
            raise ConnectionFailed("resumed too often")
        window = min(snapshot.window_bytes, config.limits.receive_window_bytes)
        limits = replace(config.limits, receive_window_bytes=window)
        config = replace(config, limits=limits, certificate=snapshot.certificate, wall=None)  # it may have ended since
        client = cls(replicas, entropy=lambda _: snapshot.secret, config=config, liveness=liveness)
        client._restore(snapshot)
        return client

    def _restore(self, snapshot: Snapshot) -> None:
        parts, flight = self._parts, snapshot.flight
        parts.path.restore(*snapshot.sizes)
        parts.flight.restore(flight._replace(next_number=flight.next_number + RESERVED_NUMBERS))
        parts.input.restore(snapshot.input)
        parts.upload.restore(snapshot.upload, snapshot.number + RESERVED_NUMBERS)
        parts.output.restore(snapshot.output)
        parts.recovery.restore(snapshot.round_trip, snapshot.failovers, snapshot.stall_us, dict(snapshot.served))
        parts.fleet.prefer(snapshot.home)
        self._packets.restore(snapshot.number + RESERVED_NUMBERS)
        self._resumed_with = self._packets.number, parts.flight.next_number, parts.flight.transport
        self._announced = True

    def snapshot(self) -> Snapshot:
        """Return this connection as a value; LocalProtocolError unless it is established, incomplete and not failed.

        The client may go on until another one is resumed from the snapshot, or `snapshot_is_stale`.
        """
        parts, certificate = self._parts, self._handshake.certificate
        if not self.is_established or self._failed or self._ended or certificate is None:
            raise LocalProtocolError("only a connection that is under way can be resumed")
        self._kept = self._packets.number, parts.flight.next_number
        unused = self._resumed_with == (*self._kept, parts.flight.transport)  # nothing was sent or received since
        skipped, flight = RESERVED_NUMBERS if unused else 0, parts.flight.state(answered=not len(parts.requests))
        path, recovery = parts.path, parts.recovery
        return Snapshot(
            parts.config.suite,
            parts.secret,
            certificate.encode(),
            parts.limits.receive_window_bytes,
            self._packets.number - skipped,
            (path.datagram_bytes, path.proven_bytes, path.size_proof),
            flight._replace(next_number=flight.next_number - skipped),
            parts.input.state(),
            parts.upload.state(),
            parts.output.state(),
            recovery.round_trip,
            recovery.failovers,
            recovery.stall_us,
            parts.fleet.home,
            dict(list(recovery.served.items())[-MOST_REPLICAS:]),
        )

    @property
    def snapshot_is_stale(self) -> bool:
        """True when half of the numbers reserved by the last snapshot are used: take another one."""
        used = self._packets.number - self._kept[0], self._parts.flight.next_number - self._kept[1]
        return max(used) > RESERVED_NUMBERS // 2

    # input

    def write(self, data: bytes) -> None:
        self._parts.input.write(data)

    def write_eof(self) -> None:
        self._parts.input.end()

    def connect(self, *, now: int) -> None:
        """Begin the handshake; input written before goes with it."""
        self._handshake.begin(now)

    # network

    def limit_output(self, window_bytes: int) -> None:
        """Ask for output up to `window_bytes` above what was taken out, until the next call.

        At most the receive window, which is the initial value. Output that was asked for already is kept.
        """
        self._parts.output.resize(window_bytes)

    def receive_datagram(self, datagram: Buffer, source: Address, *, now: int) -> None:
        """Take a datagram from the network; malformed ones are counted, never raised."""
        self.receive_burst(datagram, len(datagram), source, now=now)

    def receive_burst(self, buffer: Buffer, segment_bytes: int, source: Address, *, now: int) -> bool:
        """Take datagrams back to back, all of `segment_bytes` but the last, as a coalescing socket returns them.

        Return False if there is no event because of them, and nothing is due earlier than before.
        """
        if self._failed:
            return False
        try:
            return self._receiver.burst(memoryview(buffer), segment_bytes, source, now)
        except IdentityError:
            self._fail("identity")
        except ConnectionFailed as failure:
            self._fail(failure.reason)
        except (Forged, BadPacket):
            self._parts.counters.hit("dropped.malformed")
        return True

    def receive_unreachable(self, replica: Address, *, now: int) -> None:
        """Take an ICMP error: nobody listens at `replica` any more."""
        if self.is_established:
            self._parts.at_work.on_unreachable(replica, now)
        else:
            self._handshake.unreachable(replica, now)

    def replace_replicas(self, replicas: Sequence[Address], *, now: int) -> None:
        """Replace the members of the fleet; an empty list changes nothing."""
        self._parts.fleet.replace(replicas, now)

    def handle_timeout(self, *, now: int) -> None:
        if self._failed:
            return
        try:
            if self.is_established:
                self._parts.recovery.on_timeout(now)
                self._parts.heartbeats.on_timeout(now)
            else:
                self._handshake.timed_out(now)
        except ConnectionFailed as failure:
            self._fail(failure.reason)

    def datagrams_to_send(self, *, now: int) -> list[tuple[bytes, Address]]:
        """Return the datagrams that are due now, each with its destination."""
        if self._failed or self._ended:
            return []
        try:
            if self.is_established:
                return self._sender.datagrams(now)
            wanted = 3 * self._parts.limits.min_datagram_bytes
            return self._note_hello(self._handshake.datagrams(now, self._parts.input.early, wanted))
        except ConnectionFailed as failure:
            self._fail(failure.reason)
        except IdentityError:
            self._fail("identity")
        return []

    def next_timeout(self) -> int | None:
        """Return when `handle_timeout` is due, or None."""
        if self._failed or self._ended:
            return None
        return self._sender.next_timeout() if self.is_established else self._handshake.deadline

    def next_event(self) -> ClientEvent | None:
        """Return the next event, or None; taking data out opens the receive window."""
        if self._events:
            return self._events.popleft()
        output = self._parts.output
        if not self._announced and self.is_established:
            self._announced = True
            assert self._handshake.certificate is not None
            return Connected(self._handshake.certificate.identity)
        if output.arrived.ready_bytes:
            return Data(output.arrived.take())
        if output.complete and not self._ended:
            self._ended = True
            return End()
        heartbeat = self._parts.heartbeats.take()
        return Data([heartbeat]) if heartbeat is not None else None

    # for drivers

    def on_wake(self, callback: Callable[[], object]) -> None:
        """Call `callback` when something is due that only another connection's datagrams, or a shared timer, showed."""
        self._parts.at_work.on_wake(callback)

    def leave(self) -> list[tuple[bytes, Address]]:
        """End the connection; return a goodbye for each replica that may be at work for it.

        A goodbye may be lost: send it twice. Then, and without one, replicas notice the client's silence.
        """
        self._parts.at_work.leave()
        over = self._failed or self._ended or self.is_idle or not self.is_established
        self._ended = True
        try:
            return [] if over else self._sender.goodbyes()
        except ConnectionFailed:  # no request number is left
            return []

    @property
    def is_established(self) -> bool:
        return self._parts.flight.transport is not None

    @property
    def is_idle(self) -> bool:
        """True when nothing is under way: all input was consumed, and all its output delivered."""
        output, queue = self._parts.output, self._parts.input
        return queue.consumed == queue.written and output.delivered == output.requested.tail

    @property
    def input_waiting(self) -> int:
        """Bytes of input that neither the service nor the spool has yet."""
        return len(self._parts.input)

    @property
    def input_taken(self) -> int:
        """The offset below which the service or the spool has all input."""
        return self._parts.input.held

    @property
    def certificate(self) -> Certificate | None:
        return self._handshake.certificate

    @property
    def hello_unanswered(self) -> bool:
        """True when the hello had to be repeated: its epoch may be gone."""
        return bool(self._handshake.wanted) and self._handshake.sent_at is None

    @property
    def proven_size(self) -> tuple[int, int]:
        """The largest size of datagrams that passed, and the proof for replicas (0: none)."""
        return self._parts.path.proven_bytes, self._parts.path.size_proof

    @property
    def receive_window_bytes(self) -> int:
        """Bound of the output bytes kept for a slow reader."""
        return self._parts.limits.receive_window_bytes

    @property
    def output_held_bytes(self) -> int:
        """Output bytes that arrived or were asked for, and were not taken out."""
        return self._parts.output.held_bytes

    @property
    def delivery(self) -> Delivery:
        recovery = self._parts.recovery
        return Delivery(recovery.served, self._parts.fleet.latencies(), recovery.failovers, recovery.stall_us)

    @property
    def in_flight(self) -> Iterable[InFlight]:
        """The requests in flight, oldest first; read-only."""
        return self._parts.requests

    @property
    def course(self) -> Course:
        return self._parts.flight.board.course

    @property
    def flow(self) -> int:
        """The number of the flow in use: datagrams of different flows leave from different source ports."""
        return self._parts.fleet.flows.current

    def suspects(self, replica: Address, now: int) -> bool:
        """Return True while that replica is avoided because it did not answer."""
        return self._parts.fleet.suspect(replica, now)

    def statistics(self) -> dict[str, int | str]:
        return self._parts.statistics()

    def _note_hello(self, sent: list[tuple[bytes, Address]]) -> list[tuple[bytes, Address]]:
        if sent:
            if self._handshake.early_flags:
                self._parts.input.on_sent()
            self._parts.counters.hit("hellos")
        return sent

    def _fail(self, reason: str) -> None:
        self._failed = True
        self._events.append(Failed(reason))
