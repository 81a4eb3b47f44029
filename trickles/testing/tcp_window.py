"""Reno's window and TCP's retransmission timeout, as Linux counts them."""

from __future__ import annotations

from trickles.testing.clock import MILLISECOND, SECOND

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
        self.recovery = 0  # losses below this number have been paid for
        self.halvings = 0
        self.timeouts = 0
        self._recovering = False
        self._credit = 0  # segments acknowledged towards the next increase

    def advance(self, unacknowledged: int) -> None:
        """Ends the recovery once all it covers has been acknowledged."""
        if unacknowledged >= self.recovery:
            self._recovering = False

    def grow(self, delivered: int) -> None:
        """Takes `delivered` more acknowledged segments into account."""
        if self._recovering:
            return
        slow = max(min(delivered, self.threshold - self.size), 0)
        self.size += slow
        self._credit += delivered - slow
        while self._credit >= self.size:
            self._credit -= self.size
            self.size += 1

    def shrink(self, next_number: int) -> None:
        """Halves the window for a loss; more losses below `next_number` cost nothing (RFC 6675, 5)."""
        self.size = self.threshold = max(self.size // 2, LEAST_THRESHOLD)
        self.recovery = next_number
        self.halvings += 1
        self._recovering = True
        self._credit = 0

    def collapse(self, in_flight: int, next_number: int, *, again: bool) -> None:
        """Starts over with one segment after a timeout; a repeated one keeps the threshold (RFC 5681, 3.1)."""
        if not again:
            self.threshold = max(in_flight // 2, LEAST_THRESHOLD)
        self.size = 1
        self.recovery = next_number
        self.timeouts += 1
        self._recovering = False
        self._credit = 0


class RetransmissionTimeout:
    """RFC 6298 in integer microseconds, every segment timed by its timestamp (RFC 7323)."""

    __slots__ = ("backoff", "smoothed", "variation")

    def __init__(self) -> None:
        self.smoothed: int | None = None
        self.variation = 0
        self.backoff = 0

    @property
    def value(self) -> int:
        """How long to wait for an acknowledgement."""
        base = SECOND if self.smoothed is None else self.smoothed + max(4 * self.variation, LEAST_TIMEOUT)
        return min(base << self.backoff, MOST_TIMEOUT)

    def sample(self, rtt: int) -> None:
        """Takes a measured round trip in; an acknowledgement of anything ends the backoff."""
        self.backoff = 0
        if self.smoothed is None:
            self.smoothed, self.variation = rtt, rtt // 2
            return
        self.variation += (abs(self.smoothed - rtt) - self.variation) // 4
        self.smoothed += (rtt - self.smoothed) // 8

    def back_off(self) -> None:
        """Doubles the timeout."""
        self.backoff = min(self.backoff + 1, 6)
