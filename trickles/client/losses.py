"""Loss detection: a hole in what has arrived is a loss once three later packets or some time have passed (RFC 8985).

A declared loss is final: each later request of the episode shows the hole, and the server answers with a smaller
window. So a client that declares too early only slows itself down; a packet that arrives after all increases the
tolerated reordering, in packets and in time. Where neighbouring requests go to several replicas only time counts, with
the paths' unevenness added, and with striping each path is judged by its own order.

A hole is not declared while its replica reports that it is at work, nor above the base of a restart under way, which
begins an episode with a proof of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from trickles.client.fleet import ReplicaSet
from trickles.client.flight import Flight
from trickles.client.recovery import NEVER, Recovery
from trickles.client.requests import InFlight, Requests
from trickles.client.striping import Striping
from trickles.limits import MILLISECOND
from trickles.ranges import Range
from trickles.trace import Counters

DUPLICATE_THRESHOLD = 3  # later packets that make a hole a loss (RFC 5681 section 3.2)
MOST_REORDERING = 64  # packets
MOST_STEPS = 4  # quarters of a round trip: a whole one


@dataclass(slots=True, eq=False)
class LossDetection:
    """Owner of the tolerance of reordering."""

    _counters: Counters
    _fleet: ReplicaSet
    _requests: Requests
    _flight: Flight
    _recovery: Recovery
    _striping: Striping
    reorder_packets: int = DUPLICATE_THRESHOLD
    _reorder_steps: int = 1

    def on_spurious(self) -> None:
        """Note that a packet arrived after it was declared lost: tolerate more reordering."""
        self._counters.hit("spurious_losses")
        self.reorder_packets = min(self.reorder_packets * 2, MOST_REORDERING)
        self._reorder_steps = min(self._reorder_steps + 1, MOST_STEPS)

    def detect(self, now: int) -> list[InFlight]:
        """Declare losses by count or by time; return the requests that are over by it."""
        flight, board, over = self._flight, self._flight.board, list[InFlight]()
        while (hole := board.hole()) is not None:
            if self._of_next_episode(hole):
                break
            if hole[1] >= board.reach:  # answers a restart that was given up: no proof of this episode
                board.discard_waiting(flight.restarting.start if flight.restarting is not None else NEVER)
                continue
            by_count = not self._fleet.spreads and board.waiting >= self.reorder_packets
            if self._patience() > now or not (by_count or now >= self._overdue_at()):
                break
            start, stop = flight.declare_lost()
            self._counters.hit("lost", stop - start)
            over += self._requests.lose(start, stop)
        return over + self._passed(over, now)

    def _passed(self, over: list[InFlight], now: int) -> list[InFlight]:
        """Return requests of an earlier episode whose answers have had their time."""
        base, restarting, known = self._flight.board.episode.base, self._flight.restarting, set(over)
        passed = []
        for request in self._requests:
            if request.stop > base or request.patience >= now or request is restarting or request in known:
                continue
            if now >= self._flight.begun_at + self._reorder_window():
                request.on_lost()
                passed.append(request)
        return passed

    def next_timeout(self) -> int:
        """Return the earliest time at which `detect` may find something without an arrival, or NEVER."""
        flight, base, due = self._flight, self._flight.board.episode.base, NEVER
        for request in self._requests:
            if request.stop <= base and request is not flight.restarting:
                due = min(due, max(flight.begun_at + self._reorder_window(), request.patience + 1))
        if (hole := flight.board.hole()) is not None and not self._of_next_episode(hole):
            due = min(due, max(self._overdue_at(), self._patience()))
        return due

    def _of_next_episode(self, hole: Range) -> bool:
        """Return True when packets above the hole may answer a restart: they are proved in its episode.

        Only a restart leaves an unvalidated continuation, and the packets after it are proved by other keys.
        """
        restarting = self._flight.restarting
        return self._flight.unvalidated or (restarting is not None and hole[1] >= restarting.start)

    def _holders(self) -> list[InFlight]:
        cursor = self._flight.board.cursor
        return [request for request in self._requests if request.start <= cursor < request.stop]

    def _patience(self) -> int:
        """Return until when a replica is at work on the first hole's requests."""
        return max((request.patience for request in self._holders()), default=0)

    def _overdue_at(self) -> int:
        """Return when the first hole counts as lost; with striping by its own path's order."""
        window = self._reorder_window()
        if self._fleet.stripes and (holders := self._holders()):
            return self._striping.overdue_at(holders[0], window)
        return self._flight.board.hole_since + window

    def _reorder_window(self) -> int:
        """Return how long a hole may stay open: a quarter of the round trip, more once that was short (RFC 8985)."""
        srtt = self._recovery.round_trip.srtt or MILLISECOND
        share = srtt >> 1 if self._fleet.spreads else srtt >> 2
        return max(min(share * self._reorder_steps, srtt), MILLISECOND) + self._fleet.unevenness
