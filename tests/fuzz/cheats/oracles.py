"""The figures that are taken while a client cheats, and the bounds that they must keep whatever it does.

The bounds that speak of packets without new proof count, over any stretch of time, what a replica sent minus two
packets for each number that was used as proof there for the first time in that stretch: slow start gives no more. Used
is a number that a request speaks for, or that a restart shows. A hello that is answered opens a connection, with the
initial window that an honest one would get. A window kept over a pause was proved before, and is counted nevertheless.
An honest client stays below a dozen on all but the worst of paths.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from trickles.limits import DEFAULT_LIMITS, MOST_UNPROVED

KEPT = DEFAULT_LIMITS.idle_window
INITIAL = DEFAULT_LIMITS.initial_window

IDLE_CALLS = 12  # to ask a listener when it wants to be polled


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a figure may be, and what it counts."""

    most: float
    counts: str


BOUNDS = {
    "work": Bound(1, "calls that one request caused, of those that its size allows"),
    "memory": Bound(1, "bytes that one request took, of those that its size allows"),
    "idle work": Bound(IDLE_CALLS, "calls to ask a listener when it is due"),
    "at once": Bound(KEPT + INITIAL + 6, "packets without new proof in 50 ms"),
    "in 10 s": Bound(MOST_UNPROVED, "packets without new proof in any 10 s"),
    "restarted": Bound(KEPT + INITIAL + 6, "packets that restarts got without new proof in 50 ms"),
    "bytes in 10 s": Bound(MOST_UNPROVED * 1_200, "bytes without new proof or bytes received for them in any 10 s"),
    "earned twice": Bound(0, "numbers that two requests earned at one replica"),
    "fetched again": Bound(0, "numbers whose nonce a repeat fetched again at one replica"),
    "hidden": Bound(0, "lost numbers that were fetched again, and so never need be shown as lost"),
    "replayed": Bound(0, "datagrams that one replica answered with data more than once"),
    "unproved": Bound(3, "bytes for each byte from an address that is not proved"),
    "too large": Bound(0, "datagrams above 1,200 bytes of a size that no ping proved"),
    "raised": Bound(0, "errors out of a listener"),
}


@dataclass(slots=True)
class Findings:
    """The worst of each figure so far, over all replicas."""

    worst: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BOUNDS, 0))
    sizes: dict[tuple[bytes, int], int] = field(default_factory=dict)  # of packets, by nonce key and number
    lost: set[tuple[bytes, int]] = field(default_factory=set)  # packets that did not arrive, by nonce and number
    proved: set[str] = field(default_factory=set)  # hosts
    pinged: dict[str, int] = field(default_factory=dict)  # bytes, by host
    traffic: dict[str, list[int]] = field(default_factory=dict)  # bytes in and out of hosts not proved
    errors: list[str] = field(default_factory=list)
    packets: int = 0

    def saw(self, name: str, value: float) -> None:
        """One figure."""
        if value > self.worst[name]:
            self.worst[name] = value

    def broken(self) -> list[str]:
        """The names of the bounds that do not hold."""
        return [name for name in sorted(BOUNDS) if self.worst[name] > BOUNDS[name].most]


class Debt:
    """The most that was sent beyond what was paid for over any stretch of `window` microseconds."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._sum = 0
        self._least: deque[tuple[int, int]] = deque()  # times and sums before them, both ascending

    def add(self, now: int, paid: int, sent: int) -> int:
        """Note one event; the worst stretch that ends with it."""
        while self._least and self._least[-1][1] >= self._sum:
            self._least.pop()
        self._least.append((now, self._sum))
        while self._least[0][0] < now - self._window:
            self._least.popleft()
        self._sum += sent - paid
        return self._sum - self._least[0][1]
