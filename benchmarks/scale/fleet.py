"""Replicas as capacities: each does one thing after the other, and holds a bounded queue."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from benchmarks.scale.costs import MOST_HELLOS
from trickles.limits import MILLISECOND, SECOND

NEVER = 1 << 62
MOST_WAIT = 500 * MILLISECOND  # of a datagram in the receive buffer; later ones are dropped


class Fleet:
    """The replicas' queues, one outage of each at most, and when each gets the next epoch's key.

    A death ends all work that is not done. A replica that is down answers by ICMP if it `refuses`, or not at all.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.down_from = array("q", [NEVER]) * count
        self.down_until = array("q", [NEVER]) * count
        self.refuses = bytearray(count)
        self.epoch_at = array("q", [0]) * count
        self.busy = array("q", [0]) * count  # microseconds of work done, from the start
        self.offered = array("q", [0]) * count  # microseconds of work that arrived, since the last sample
        self.dropped = 0  # datagrams, by full buffers
        self.lost = 0  # datagrams, by deaths
        self._free = array("q", [0]) * count
        self._second = array("q", [0]) * count
        self._hellos = array("q", [0]) * count

    def plan_outage(self, replica: int, start: int, stop: int = NEVER, *, refuses: bool = False) -> None:
        self.down_from[replica], self.down_until[replica] = start, stop
        self.refuses[replica] = refuses

    def is_down(self, replica: int, now: int) -> bool:
        return self.down_from[replica] <= now < self.down_until[replica]

    def living(self, now: int) -> Sequence[int]:
        return [replica for replica in range(self.count) if not self.is_down(replica, now)]

    def serve(self, replica: int, now: int, cost: int) -> int:
        """Take a datagram that costs so much at a replica that is up; return when it is done, or NEVER."""
        self.offered[replica] += cost
        start, death = self._free[replica], self.down_from[replica]
        start = max(start, now)
        if start - now > MOST_WAIT:
            self.dropped += 1
            return NEVER
        done = start + cost
        if now < death < done:
            self.busy[replica] += max(0, death - start)
            self._free[replica] = death
            self.lost += 1
            return NEVER
        self.busy[replica] += cost
        self._free[replica] = done
        return done

    def crowded(self, replica: int, now: int) -> bool:
        """Count a hello; return True when it must bring a cookie."""
        second = now // SECOND
        if self._second[replica] != second:
            self._second[replica], self._hellos[replica] = second, 0
        self._hellos[replica] += 1
        return self._hellos[replica] > MOST_HELLOS

    def sample(self) -> array[int]:
        """Return the work that arrived at each replica since the last sample."""
        offered, self.offered = self.offered, array("q", [0]) * self.count
        return offered
