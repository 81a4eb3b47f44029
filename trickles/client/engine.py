"""The client engine: one connection, all of its state, no sockets and no clock.

Feed it datagrams, unreachable replicas and timeouts; send what `datagrams_to_send` gives; come back at `next_timeout`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from trickles.client.claims import Claim
from trickles.client.config import ClientConfig
from trickles.client.events import ClientEvent, Connected, Data, Delivery, End, Failed
from trickles.client.fleet import Fleet
from trickles.client.greeting import Greeting
from trickles.client.receiving import Receiver
from trickles.client.sending import Sender
from trickles.client.state import ConnectionState
from trickles.errors import BadPacket, ConnectionFailed, Forged, IdentityError
from trickles.service import Buffer
from trickles.trickle import Course
from trickles.wire.hello import Certificate
from trickles.wire.kinds import Address

DEFAULT_CONFIG = ClientConfig()


class Client:
    """One connection to a fleet; times are monotonic microseconds."""

    def __init__(
        self, replicas: Sequence[Address], *, entropy: Callable[[int], bytes], config: ClientConfig = DEFAULT_CONFIG
    ) -> None:
        fleet = Fleet(replicas, config.policy, config.first)
        secret = entropy(32)
        self.state = ConnectionState(config, fleet, secret, entropy)
        self.greeting = Greeting(config, fleet, secret)
        self._sender = Sender(self.state)
        self._receiver = Receiver(self.state, self.greeting)
        self._events: deque[ClientEvent] = deque()
        self._failed = False
        self._ended = False
        self._announced = False

    # input

    def write(self, data: bytes) -> None:
        """Queue input bytes."""
        self.state.input.write(data)

    def write_eof(self) -> None:
        """No more input follows."""
        self.state.input.end()

    def connect(self, *, now: int) -> None:
        """Begin the handshake; input written before rides on it."""
        self.greeting.begin(now)

    # network

    def receive_datagram(self, datagram: Buffer, source: Address, *, now: int) -> None:
        """One datagram from the network; whatever is wrong with it is counted, never raised."""
        self.receive_burst(datagram, len(datagram), source, now=now)

    def receive_burst(self, buffer: Buffer, segment_bytes: int, source: Address, *, now: int) -> None:
        """Datagrams back to back, all of `segment_bytes` but the last, as a coalescing socket gives them."""
        if self._failed:
            return
        try:
            self._receiver.burst(memoryview(buffer), segment_bytes, source, now)
        except IdentityError:
            self._fail("identity")
        except ConnectionFailed as failure:
            self._fail(failure.reason)
        except (Forged, BadPacket):
            self.state.counters.hit("dropped.malformed")

    def receive_unreachable(self, replica: Address, *, now: int) -> None:
        """The network says that nobody listens at `replica` any more."""
        if self.state.established:
            self._sender.unreachable(replica, now)
        else:
            self.greeting.unreachable(replica, now)

    def replace_replicas(self, replicas: Sequence[Address], *, now: int) -> None:
        """The fleet's members are others now: what is asked from here on goes to them. None: those known stay."""
        self.state.fleet.replace(replicas, now)

    def handle_timeout(self, *, now: int) -> None:
        """The time that `next_timeout` named has come."""
        if self._failed:
            return
        try:
            if self.state.established:
                self._sender.timeout(now)
            else:
                self.greeting.timed_out(now)
        except ConnectionFailed as failure:
            self._fail(failure.reason)

    def datagrams_to_send(self, *, now: int) -> list[tuple[bytes, Address]]:
        """What goes out now, with where to."""
        if self._failed or self._ended:
            return []
        try:
            if self.state.established:
                return self._sender.datagrams(now)
            wanted = 3 * self.state.config.limits.min_datagram_bytes
            return self._note_hello(self.greeting.datagrams(now, self.state.input.early, wanted))
        except ConnectionFailed as failure:
            self._fail(failure.reason)
        except IdentityError:
            self._fail("identity")
        return []

    def next_timeout(self) -> int | None:
        """When `handle_timeout` is due, or None."""
        if self._failed or self._ended:
            return None
        return self._sender.deadline() if self.state.established else self.greeting.deadline

    def next_event(self) -> ClientEvent | None:
        """What happened, one thing at a time; taking data out is what opens the receive window."""
        if self._events:
            return self._events.popleft()
        state = self.state
        if state.established and not self._announced:
            self._announced = True
            assert self.greeting.certificate is not None
            return Connected(self.greeting.certificate.identity)
        if state.output.ready_bytes:
            state.taken_bytes += state.output.ready_bytes
            state.output.limit = state.taken_bytes + state.limits.receive_window_bytes
            return Data(state.output.take())
        if state.output_end is not None and state.output.next_offset >= state.output_end and not self._ended:
            self._ended = True
            return End()
        return None

    # what drivers ask

    @property
    def is_established(self) -> bool:
        """True once the fleet has answered the handshake."""
        return self.state.established

    @property
    def is_idle(self) -> bool:
        """True when nothing is under way: all input was consumed, and the whole output of it was delivered."""
        state = self.state
        delivered = state.output.next_offset - state.output.ready_bytes
        return state.input.consumed == state.input.written and delivered == state.wants.tail

    @property
    def input_waiting(self) -> int:
        """Bytes of input that neither the service nor the spool has taken."""
        return len(self.state.input)

    @property
    def input_taken(self) -> int:
        """The offset below which the service or the spool has taken all input."""
        return self.state.input.held

    @property
    def certificate(self) -> Certificate | None:
        """The fleet's certificate, once one is known."""
        return self.greeting.certificate

    @property
    def hello_unanswered(self) -> bool:
        """True when the hello had to be repeated: perhaps its epoch is gone."""
        return bool(self.greeting.wanted) and self.greeting.sent_at is None

    @property
    def proven_size(self) -> tuple[int, int]:
        """The largest size of datagrams that passed, and the proof by which replicas believe it (0: none)."""
        return self.state.proven_bytes, self.state.size_proof

    @property
    def receive_window_bytes(self) -> int:
        """Output bytes that are kept for a slow reader."""
        return self.state.limits.receive_window_bytes

    @property
    def delivery(self) -> Delivery:
        """Figures of the replicas at work, for logs and accounts."""
        state = self.state
        return Delivery(state.served, state.fleet.latencies(), state.failovers, state.stall_us)

    @property
    def in_flight(self) -> Iterable[Claim]:
        """The requests in flight, oldest first, to look at only."""
        return self.state.claims

    @property
    def course(self) -> Course:
        """The episodes that follow from the proof at hand."""
        return self.state.board.course

    def suspects(self, replica: Address, now: int) -> bool:
        """True while that replica is left alone because it did not answer."""
        return self.state.fleet.suspect(replica, now)

    def statistics(self) -> dict[str, int | str]:
        """Figures for people and logs."""
        return self.state.statistics()

    def _note_hello(self, sent: list[tuple[bytes, Address]]) -> list[tuple[bytes, Address]]:
        if sent:
            self.state.input.in_flight = bool(self.greeting.early_flags)
            self.state.counters.hit("hellos")
        return sent

    def _fail(self, reason: str) -> None:
        self._failed = True
        self._events.append(Failed(reason))
