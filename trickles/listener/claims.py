"""What a listener remembers of the numbers that it granted, so that none is earned twice: bounded, losable.

Forgetting goes one way only. When a connection has claimed more ranges than are kept, the two lowest become one, with
all that lies below and between them: what is not known any more counts as used.
"""

from __future__ import annotations

from bisect import bisect_right

from trickles.listener.recent import Recent


class Claims:
    """Which packet numbers one connection has claimed here, and when it last did what it may do seldom."""

    MAX_RANGES = 32  # a window in flight, as every second request of a client that alternates between two replicas
    __slots__ = ("_bounds", "_paused_from", "_probed_at", "_restarted_at")

    def __init__(self) -> None:
        self._bounds: list[int] = []  # start, stop, start, stop...: ascending, ranges apart from each other
        self._paused_from = -1  # issue time of the last continuation that a clean restart used up
        self._restarted_at = self._probed_at = -(1 << 62)

    @property
    def held(self) -> int:
        """How many ranges are remembered."""
        return len(self._bounds) // 2

    def claim(self, start: int, stop: int) -> bool:
        """Note [start, stop); False when any of it was claimed before."""
        bounds = self._bounds
        top = bounds[-1] if bounds else -1
        if start == top:
            bounds[-1] = stop
            return True
        if start > top:
            bounds += start, stop
        elif self.claimed(start, stop):
            return False
        else:
            self._insert(start, stop)
        self._bound()
        return True

    def claimed(self, start: int, stop: int) -> bool:
        """True when any of [start, stop) was claimed here before, or may have been."""
        bounds, at = self._bounds, bisect_right(self._bounds, start)
        return bool(at & 1) or (at < len(bounds) and bounds[at] < stop)

    def release(self, start: int, stop: int) -> None:
        """Take a claim back that was not served, so that a repeat of it may be, the restart that it came with too."""
        self._paused_from, self._restarted_at = -1, -(1 << 62)
        bounds, at = self._bounds, bisect_right(self._bounds, start)
        if at & 1 and bounds[at] >= stop:  # in a range of its own, or joined to others
            before, after = bounds[at - 1], bounds[at]
            bounds[at - 1 : at + 1] = [each for a, b in ((before, start), (stop, after)) if a < b for each in (a, b)]
            self._bound()

    def _insert(self, start: int, stop: int) -> None:
        """Add a range that overlaps none, joined to the neighbours that it touches."""
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

    def may_probe(self, *, now: int, interval: int) -> bool:
        """True when the last answer to a repeat is at least `interval` ago."""
        if now - self._probed_at < interval:
            return False
        self._probed_at = now
        return True

    def may_pause(self, issued: int) -> bool:
        """True once per continuation, named by its time of issue: that is how often a clean restart may use it."""
        if self._paused_from == issued:
            return False
        self._paused_from = issued
        return True

    def may_restart(self, *, now: int, interval: int) -> bool:
        """True when the last restart after loss is at least `interval` ago."""
        if now - self._restarted_at < interval:
            return False
        self._restarted_at = now
        return True


class ClaimTable:
    """The claims of each connection: bounded, those forgotten first that did not speak for long."""

    def __init__(self, capacity: int) -> None:
        self._claims: Recent[bytes, Claims] = Recent(capacity)

    def __len__(self) -> int:
        return len(self._claims)

    def clear(self) -> None:
        """Forget everything; a client gains no more than by opening another connection."""
        self._claims.clear()

    def of(self, connection: bytes) -> Claims:
        """What that connection has claimed; with nothing in it when it is new, or was forgotten."""
        claims = self._claims.newer.get(connection) or self._claims.find(connection)
        if claims is None:
            claims = Claims()
            self._claims.add(connection, claims)
        return claims
