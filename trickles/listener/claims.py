"""What a listener remembers of the numbers that it granted, so that none is earned twice: bounded, losable."""

from __future__ import annotations

from trickles.listener.recent import Recent
from trickles.ranges import Range


class Claims:
    """Which packet numbers one connection has claimed here lately, and when it last did what it may do seldom."""

    MAX_RANGES = 16
    __slots__ = ("_paused_from", "_probed_at", "_ranges", "_restarted_at")

    def __init__(self) -> None:
        self._ranges: list[Range] = []  # ascending, apart from each other
        self._paused_from = -1  # issue time of the last continuation that a clean restart used up
        self._restarted_at = self._probed_at = -(1 << 62)

    def claim(self, start: int, stop: int) -> bool:
        """Note [start, stop); False when any of it was claimed before."""
        ranges = self._ranges
        top = ranges[-1][1] if ranges else -1
        if start == top:
            ranges[-1] = ranges[-1][0], stop
        elif start > top:
            ranges.append((start, stop))
        elif self.claimed(start, stop):
            return False
        else:
            self._insert(start, stop)
        if len(ranges) > self.MAX_RANGES:
            del ranges[0]
        return True

    def claimed(self, start: int, stop: int) -> bool:
        """True when any of [start, stop) was claimed here before."""
        ranges = self._ranges
        return bool(ranges) and start < ranges[-1][1] and any(a < stop and b > start for a, b in ranges)

    def release(self, start: int, stop: int) -> None:
        """Take a claim back that was not served, so that a repeat of it may be, the restart that it came with too."""
        self._paused_from, self._restarted_at = -1, -(1 << 62)
        cut = [part for a, b in self._ranges for part in ((a, min(b, start)), (max(a, stop), b))]
        self._ranges[:] = [(a, b) for a, b in cut if a < b]

    def _insert(self, start: int, stop: int) -> None:
        before = [(a, b) for a, b in self._ranges if b <= start]
        after = [(a, b) for a, b in self._ranges if a >= stop]
        if before and before[-1][1] == start:
            start = before.pop()[0]
        if after and after[0][0] == stop:
            stop = after.pop(0)[1]
        self._ranges[:] = [*before, (start, stop), *after]

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
