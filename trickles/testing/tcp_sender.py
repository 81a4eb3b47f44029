"""The sending end of a simulated TCP flow: Reno's window, loss detection by SACK, retransmission timer."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from trickles.testing.clock import MILLISECOND, SECOND, Timer
from trickles.testing.network import Node
from trickles.testing.packet import Address, Hop, Packet
from trickles.testing.tcp_receiver import HEADER_BYTES, Ack, Segment
from trickles.testing.world import World

INITIAL_WINDOW = 10  # segments, RFC 6928
LEAST_THRESHOLD = 2  # segments, RFC 5681, 3.1
LEAST_TIMEOUT = 200 * MILLISECOND  # Linux; RFC 6298, 2.4 asks for 1 s
MOST_TIMEOUT = 60 * SECOND


class RenoWindow:
    """Slow start and congestion avoidance by segments acknowledged (RFC 5681, RFC 3465), halved once per window."""

    __slots__ = ("_credit", "_recovering", "halvings", "recovery", "size", "threshold", "timeouts")

    def __init__(self) -> None:
        self.size = INITIAL_WINDOW
        self.threshold = 1 << 30
        self.recovery = 0  # losses below this number are covered by a reduction
        self.halvings = 0
        self.timeouts = 0
        self._recovering = False
        self._credit = 0  # segments acknowledged towards the next increase

    def advance(self, unacknowledged: int) -> None:
        if unacknowledged >= self.recovery:
            self._recovering = False

    def grow(self, delivered: int) -> None:
        """Grow the window by `delivered` more acknowledged segments."""
        if self._recovering:
            return
        slow = max(min(delivered, self.threshold - self.size), 0)
        self.size += slow
        self._credit += delivered - slow
        while self._credit >= self.size:
            self._credit -= self.size
            self.size += 1

    def shrink(self, next_number: int) -> None:
        """Halve the window for a loss; more losses below `next_number` cost nothing (RFC 6675, 5)."""
        self.size = self.threshold = max(self.size // 2, LEAST_THRESHOLD)
        self.recovery = next_number
        self.halvings += 1
        self._recovering = True
        self._credit = 0

    def collapse(self, in_flight: int, next_number: int, *, again: bool) -> None:
        """Start over with one segment after a timeout; a repeated one keeps the threshold (RFC 5681, 3.1)."""
        if not again:
            self.threshold = max(in_flight // 2, LEAST_THRESHOLD)
        self.size = 1
        self.recovery = next_number
        self.timeouts += 1
        self._recovering = False
        self._credit = 0


class RetransmissionTimeout:
    """The retransmission timeout (RFC 6298) in integer microseconds, with timestamps (RFC 7323)."""

    __slots__ = ("backoff", "smoothed", "variation")

    def __init__(self) -> None:
        self.smoothed: int | None = None
        self.variation = 0
        self.backoff = 0

    @property
    def value(self) -> int:
        base = SECOND if self.smoothed is None else self.smoothed + max(4 * self.variation, LEAST_TIMEOUT)
        return min(base << self.backoff, MOST_TIMEOUT)

    def sample(self, rtt: int) -> None:
        """Take a sample; an acknowledgement of anything ends the backoff."""
        self.backoff = 0
        if self.smoothed is None:
            self.smoothed, self.variation = rtt, rtt // 2
            return
        self.variation += (abs(self.smoothed - rtt) - self.variation) // 4
        self.smoothed += (rtt - self.smoothed) // 8

    def back_off(self) -> None:
        self.backoff = min(self.backoff + 1, 6)


REORDERING = 3  # a segment is lost when one sent this many transmissions later has arrived (RFC 5681, 6675)


class TcpSender(Node):
    """Sends as much as the window allows, lost segments first.

    Transmissions are numbered and losses are detected from their order, so a lost retransmission is found like any
    other (as by RACK, RFC 8985).
    """

    def __init__(
        self,
        world: World,
        name: str,
        address: Address,
        peer: Address,
        outgoing: Sequence[Hop],
        mss_bytes: int,
        segments: int | None,
    ) -> None:
        super().__init__(name, outgoing)
        self.window = RenoWindow()
        self.timeout = RetransmissionTimeout()
        self.retransmitted = 0
        self.finished_at: int | None = None
        self._world = world
        self._address, self._peer = address, peer
        self._wire_bytes = mss_bytes + HEADER_BYTES
        self._segments = segments
        self._unacknowledged = 0  # the lowest number not acknowledged
        self._next = 0  # the lowest number never sent
        self._flight: dict[int, int] = {}  # transmission -> number, of what may still arrive; oldest first
        self._transmission: dict[int, int] = {}  # number -> its transmission in flight
        self._sacked: set[int] = set()
        self._lost: list[int] = []  # heap of numbers to send again
        self._transmissions = 0
        self._latest = -1  # the latest transmission known to have arrived
        self._timer = Timer(world.clock, self._time_out)
        world.network.attach(address, self)

    def start(self) -> None:
        self._send()

    def receive(self, packet: Packet) -> None:
        ack = packet.note
        if not isinstance(ack, Ack):
            return
        now = self._world.clock.now
        delivered = self._settle(ack)
        self.window.advance(self._unacknowledged)
        if delivered:
            self.timeout.sample(now - ack.echo)
            self._timer.set(now + self.timeout.value)
        if self._find_losses():
            self.window.shrink(self._next)
        else:
            self.window.grow(delivered)
        self._send()
        self._note_end()

    def _settle(self, ack: Ack) -> int:
        """Note an acknowledgement; return how many segments it newly reports."""
        delivered = sum(self._deliver(number) for number in range(self._unacknowledged, ack.upto))
        self._sacked.difference_update(range(self._unacknowledged, ack.upto))
        self._unacknowledged = max(self._unacknowledged, ack.upto)
        for start, stop in ack.runs:
            fresh = [number for number in range(max(start, self._unacknowledged), stop) if number not in self._sacked]
            delivered += sum(map(self._deliver, fresh))
            self._sacked.update(fresh)
        return delivered

    def _deliver(self, number: int) -> bool:
        if number in self._sacked:
            return False
        transmission = self._transmission.pop(number, None)
        if transmission is not None:
            del self._flight[transmission]
            self._latest = max(self._latest, transmission)
        return True

    def _find_losses(self) -> bool:
        """Move lost segments out of the flight; return True if the window has not yet been reduced for one."""
        uncovered = False
        while self._flight:
            transmission, number = next(iter(self._flight.items()))
            if transmission + REORDERING > self._latest:
                break
            self._lose(transmission, number)
            uncovered = uncovered or number >= self.window.recovery
        return uncovered

    def _lose(self, transmission: int, number: int) -> None:
        del self._flight[transmission], self._transmission[number]
        heappush(self._lost, number)

    def _send(self) -> None:
        while len(self._flight) < self.window.size:
            number = self._choose()
            if number is None:
                break
            self._transmit(number)
        if self._flight and self._timer.deadline is None:
            self._timer.set(self._world.clock.now + self.timeout.value)

    def _choose(self) -> int | None:
        while self._lost:
            number = heappop(self._lost)
            if number >= self._unacknowledged and number not in self._sacked:
                self.retransmitted += 1
                return number
        if self._segments is not None and self._next >= self._segments:
            return None
        self._next += 1
        return self._next - 1

    def _transmit(self, number: int) -> None:
        self._flight[self._transmissions] = number
        self._transmission[number] = self._transmissions
        self._transmissions += 1
        note = Segment(number, self._world.clock.now)
        self._world.network.launch(self, Packet(b"", self._wire_bytes, self._address, self._peer, note))

    def _time_out(self) -> None:
        """Treat all in flight as lost and start over with one segment (RFC 6298, 5.4 to 5.6; RFC 5681, 3.1)."""
        self.window.collapse(len(self._flight), self._next, again=self.timeout.backoff > 0)
        self.timeout.back_off()
        for transmission, number in list(self._flight.items()):
            self._lose(transmission, number)
        self._send()

    def _note_end(self) -> None:
        if self._unacknowledged == self._segments and self.finished_at is None:
            self.finished_at = self._world.clock.now
            self._timer.set(None)
