"""Loss detection: a hole in what has arrived is a loss once three later packets or some time have passed (RFC 8985).

A declared loss is final: each later request of the episode shows the hole, and the server answers with a smaller
window. So a client that declares too early only slows itself down. Packets of one flow may overtake each other, most
of all where a network spreads them over several hosts: a later burst by all of its packets. So three later packets do
not count in the beginning, nor after an overtaken packet, until PERSISTENCE round trips with losses have passed. A hole
may stay open for twice as long as the latest packet took, and longer each time that one arrives which counted as lost.

Where the client itself spreads its requests only time counts, with the paths' unevenness added, and with striping each
path is judged by its own order. Tried and failed: to tolerate there what was late, too (two links gave less than 1.8
times of what one gave); a quarter of a round trip in the beginning (slow start doubles the bursts: a false loss in it).

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
from trickles.limits import MILLISECOND, Limits
from trickles.ranges import Range
from trickles.trace import Counters

DUPLICATE_THRESHOLD = 3  # later packets that make a hole a loss (RFC 5681 section 3.2)
MOST_STEPS = 16  # quarters of a round trip, at most a probe timeout: hosts may differ by more than a round trip
MOST_STEPS_SPREAD = 4  # likewise, where the client itself spreads requests: their paths' unevenness is known
PERSISTENCE = 16  # round trips with losses, after a false one, in which only time counts (RFC 8985 section 6.2)


@dataclass(slots=True, eq=False)
class LossDetection:
    """Owner of the tolerance of reordering."""

    _limits: Limits
    _counters: Counters
    _fleet: ReplicaSet
    _requests: Requests
    _flight: Flight
    _recovery: Recovery
    _striping: Striping
    by_time: int = PERSISTENCE  # round trips with losses in which only time will count
    _counted_at: int = 0  # when the last of them began
    _reorder_steps: int = 2  # quarters of a round trip, while nothing is known
    _lateness: int = 0  # the longest time that a hole stayed open until it was filled

    def on_spurious(self, request: InFlight | None) -> None:
        """Note that a packet arrived after it was declared lost: tolerate more reordering."""
        if _is_repeat(request):
            return
        self._counters.hit("spurious_losses")
        self.by_time = PERSISTENCE
        self._reorder_steps = min(2 * self._reorder_steps, MOST_STEPS_SPREAD if self._fleet.spreads else MOST_STEPS)

    def on_filled(self, request: InFlight | None, now: int) -> None:
        """Note that the first hole was filled by a packet that others had overtaken."""
        if self._fleet.spreads or _is_repeat(request):
            return
        self.by_time = PERSISTENCE
        self._lateness = max(self._lateness, now - self._flight.board.hole_since)

    def _count(self, packets: int, now: int) -> None:
        self._counters.hit("lost", packets)
        srtt = self._recovery.round_trip.srtt or MILLISECOND
        if self.by_time and not self._fleet.spreads and now - self._counted_at > srtt:
            self.by_time, self._counted_at = self.by_time - 1, now
            if not self.by_time:
                self._reorder_steps, self._lateness = 1, 0

    def detect(self, now: int) -> list[InFlight]:
        """Declare losses by count or by time; return the requests that are over by it."""
        flight, board, over = self._flight, self._flight.board, list[InFlight]()
        while (hole := board.hole()) is not None:
            if self._of_next_episode(hole):
                break
            if hole[1] >= board.reach:  # answers a restart that was given up: no proof of this episode
                board.discard_waiting(flight.restarting.start if flight.restarting is not None else NEVER)
                continue
            by_count = not (self.by_time or self._fleet.spreads) and board.waiting >= DUPLICATE_THRESHOLD
            if self._patience() > now or not (by_count or now >= self._overdue_at()):
                break
            start, stop = flight.declare_lost()
            self._count(stop - start, now)
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
        round_trip = self._recovery.round_trip
        srtt = round_trip.srtt or MILLISECOND
        window = max((srtt >> 2) * self._reorder_steps, 2 * self._lateness)
        return max(min(window, round_trip.probe_timeout(self._limits)), MILLISECOND) + self._fleet.unevenness


def _is_repeat(request: InFlight | None) -> bool:
    """Return True when a packet may answer a repeat of its request: that is no sign of reordering."""
    return request is not None and len(request.datagrams) > 1
