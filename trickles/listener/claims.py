"""Claims: the packet numbers that a listener granted, so that none is earned twice; bounded and losable.

Forgotten numbers count as used. When a connection has claimed more ranges than are kept, the two lowest are merged,
with all numbers below and between them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from trickles.limits import Limits
from trickles.listener.pacing import RESTED, UNUSED, Pace, newly_proved
from trickles.listener.recent import Recent
from trickles.trickle import Episode
from trickles.wire.request import Run

Begun = tuple[Episode, int]  # a restart that was granted: its episode and its datagram size


class Claims:
    """The packet numbers that one connection has claimed here, and the pace of its restarts."""

    MAX_RANGES = 32  # a window in flight, as every second request of a client that alternates between two replicas
    MAX_THIN = 32  # nearly empty packets that an episode may have beyond its full ones
    __slots__ = (
        "_begun_before",
        "_bounds",
        "_repeats",
        "_repeats_shown",
        "_thin",
        "above",
        "begun",
        "ended",
        "pace",
        "top",
    )

    def __init__(self) -> None:
        self._bounds: list[int] = []  # start, stop, start, stop...: ascending, ranges apart from each other
        self._repeats = RESTED
        self._repeats_shown = 0  # numbers below were proved when the back-off of repeats last ended
        self.pace = UNUSED
        self.begun: Begun | None = None  # the latest
        self._begun_before: Begun | None = None  # the one before: a client repeats only the latest
        self.above = 0  # one past the highest claimed number
        self.top = 0  # one past the highest number sent from here, or to be sent
        self.ended = -1  # the packet that ended the episode (SHORT): after it only a restart goes on
        self._thin = 0

    @property
    def held(self) -> int:
        return len(self._bounds) // 2

    def claim(self, start: int, stop: int) -> bool:
        """Claim [start, stop); return False when any of it was claimed before."""
        bounds = self._bounds
        top = bounds[-1] if bounds else -1
        if start == top:
            bounds[-1] = self.top = self.above = stop
            return True
        if start > top:
            bounds += start, stop
            self.top = self.above = stop
        elif self.claimed(start, stop):
            return False
        else:
            self._insert(start, stop)
        self._bound()
        return True

    def claimed(self, start: int, stop: int) -> bool:
        """Return True when any of [start, stop) was claimed here before, or may have been."""
        bounds, at = self._bounds, bisect_right(self._bounds, start)
        return bool(at & 1) or (at < len(bounds) and bounds[at] < stop)

    def restart(self, begun: Begun, stop: int, after: Pace) -> bool:
        """Claim the numbers from that episode's base to `stop`, and note the pace; False when any were claimed before.

        All numbers below are used up: a restart gives up unclaimed ones.
        """
        bounds, base = self._bounds, begun[0][0]
        if base >= self.above:  # as for any client that is at work
            bounds[:] = 0, stop
            self.top = self.above = stop
        elif self.claim(base, stop):
            bounds[: bisect_right(bounds, base)] = [0]
        else:
            return False
        self.pace, self._thin = after, 0
        self.begun, self._begun_before = begun, self.begun
        return True

    def find(self, base: int) -> Begun | None:
        """Return the restart that was granted at exactly that base, if it is one of the latest two."""
        return next((each for each in (self.begun, self._begun_before) if each and each[0].base == base), None)

    def undo(self, before: Pace) -> None:
        """Undo the latest restart, which is not served; its numbers are released separately."""
        self.pace, self.begun, self._begun_before = before, self._begun_before, None

    def on_sent(self, stop: int, sent: int, thin: int, episode: Episode) -> bool:
        """Note that of a claim up to `stop` the numbers below `sent` were sent; return True when this ends the episode.

        It ends when the numbers above are void: a client that proves all below has proved all. And it ends when too
        many packets of the episode were thin: these have `thin` more than their data fills half packets. A window grows
        by packets, and must not grow large by empty ones.
        """
        if sent == stop:
            thin += self._thin
            self._thin = thin if 0 < thin <= self.MAX_THIN else 0
            if thin <= self.MAX_THIN:
                return False
        if self.top == stop:
            self.top = sent
        if self.ended < episode.base:
            self.ended = sent - 1
        return True

    def release(self, start: int, stop: int) -> None:
        bounds, at = self._bounds, bisect_right(self._bounds, start)
        if at & 1 and bounds[at] >= stop:  # in a range of its own, or joined to others
            before, after = bounds[at - 1], bounds[at]
            bounds[at - 1 : at + 1] = [each for a, b in ((before, start), (stop, after)) if a < b for each in (a, b)]
            self.above = bounds[-1] if bounds else 0
            self._bound()

    def may_repeat(self, runs: Sequence[Run], *, now: int, limits: Limits) -> bool:
        """Return True when a served request may be answered again: less often each time, until more is proved."""
        if newly_proved(runs, self._repeats_shown) >= limits.substantial_proof:
            self._repeats, self._repeats_shown = RESTED, runs[-1][1]
        waits = self._repeats.after(now, limits.min_probe_interval, limits.most_backoff)
        self._repeats = waits or self._repeats
        return waits is not None

    def set_back(self, step: int, most_used: int) -> None:
        """Adjust to a clock that was set back, see `Pace.set_back`."""
        self.pace = self.pace.set_back(step, most_used)
        self._repeats = self._repeats.earlier(step)

    def _insert(self, start: int, stop: int) -> None:
        """Add a range that overlaps none, merged with adjacent ones."""
        bounds, at = self._bounds, bisect_right(self._bounds, start)
        first, last = at, at
        if at and bounds[at - 1] == start:
            first, start = at - 2, bounds[at - 2]
        if at < len(bounds) and bounds[at] == stop:
            last, stop = at + 2, bounds[at + 1]
        bounds[first:last] = start, stop

    def _bound(self) -> None:
        bounds = self._bounds
        if len(bounds) > 2 * self.MAX_RANGES:
            bounds[:3] = [0]


class ClaimTable:
    """The claims of each connection: bounded, those idle for longest are forgotten first."""

    def __init__(self, capacity: int) -> None:
        self._claims: Recent[bytes, Claims] = Recent(capacity)

    def __len__(self) -> int:
        return len(self._claims)

    def clear(self) -> None:
        """Forget everything; a client gains no more than by opening another connection."""
        self._claims.clear()

    def set_back(self, step: int, most_used: int) -> None:
        """Adjust to a clock that was set back, see `Pace.set_back`."""
        for claims in self._claims.values():
            claims.set_back(step, most_used)

    def of(self, connection: bytes) -> Claims:
        """Return the claims of a connection; empty when it is new, or was forgotten."""
        claims = self._claims.newer.get(connection) or self._claims.find(connection)
        if claims is None:
            claims = Claims()
            self._claims.add(connection, claims)
        return claims
