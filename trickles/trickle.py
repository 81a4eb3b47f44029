"""The tiling rule: which packet numbers a request earns, as a function of sealed state and proof alone.

An episode is the stretch of packet numbers between two losses. `course()` lays the episodes that follow from a
proof end to end; on a course, `edge(n)` is the first number not yet allowed once everything below n is acknowledged.
A request that acknowledges [lo, hi) earns exactly [edge(lo), edge(hi)): adjacent requests tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trickles.law import LAWS, RENO
from trickles.ranges import Range

UNBOUNDED_SSTHRESH = 1 << 16
_new = tuple.__new__


class Episode(NamedTuple):
    """The law's fields, in packets: first number, first window, threshold, which law."""

    base: int
    start: int
    ssthresh: int
    law: int = RENO.identifier

    def window(self, number: int) -> int:
        """Return the window once every packet below `number` was acknowledged."""
        base, start, ssthresh, law = self
        return LAWS[law].window(number - base, start, ssthresh)

    def edge(self, number: int) -> int:
        """Return the first number not yet allowed once every packet below `number` was acknowledged."""
        base, start, ssthresh, law = self
        return number + LAWS[law].window(number - base, start, ssthresh)


class LossRecovery(NamedTuple):
    """A loss, determined by its first hole: proportional rate reduction (RFC 6937) in closed form."""

    hole: int
    window: int
    reduced: int
    received: tuple[Range, ...]  # runs above the hole, clipped to (hole, last)

    @property
    def last(self) -> int:
        """One past the last number that the hole-free part clocked out."""
        return self.hole + self.window

    def rank(self, number: int) -> int:
        """Return how many packets in (hole, number) were received."""
        rank = 0
        for start, stop in self.received:
            if start >= number:
                break
            rank += (stop if stop < number else number) - start
        return rank

    def edge(self, number: int) -> int:
        """Return the edge for hole < number <= last: `rank` packets delivered clock out rank * reduced / window."""
        return self.last - (-self.rank(number) * self.reduced // self.window)


class Leg(NamedTuple):
    """One episode of a course and the loss that ends it, if any."""

    episode: Episode
    recovery: LossRecovery | None = None

    def edge(self, number: int) -> int:
        if self.recovery is None or number <= self.recovery.hole:
            return self.episode.edge(number)
        return self.recovery.edge(number)


class Course(NamedTuple):
    """The episodes that follow from one continuation and one proof."""

    legs: tuple[Leg, ...]

    @property
    def episode(self) -> Episode:
        return self.legs[-1].episode

    def edge(self, number: int) -> int:
        """Return the first number not yet allowed once everything below `number` is acknowledged."""
        for leg in self.legs:
            if leg.recovery is None or number <= leg.recovery.last:
                return leg.edge(number)
        return self.legs[-1].edge(number)

    def reaches(self, stop: int) -> bool:
        """Return True when numbers up to `stop` can have been granted on this course."""
        recovery = self.legs[-1].recovery
        return recovery is None or stop <= recovery.last

    def window(self, number: int) -> int:
        """Return the congestion window at `number`, from which a restart's window follows."""
        recovery = self.legs[-1].recovery
        return recovery.reduced if recovery and number > recovery.hole else self.episode.window(number)


def reduced_window(window: int) -> int:
    """Return half the window, at least two; one for a window of one or two (RFC 5681 section 3.1)."""
    return max(window // 2, 2) if window > 2 else 1


def course(episode: Episode, runs: Sequence[Range]) -> Course:
    """Lay out the episodes that follow when exactly `runs` (ascending, apart) were received from episode.base on.

    A loss with nothing received in (hole, last) ends the course, for nothing was granted after it: runs above are no
    proof (`Course.reaches`). So each leg but the last uses up a run, and the work is linear in the runs.
    """
    if not runs or (len(runs) == 1 and runs[0][0] <= episode.base):
        return Course((Leg(episode),))
    legs: list[Leg] = []
    end, at = runs[-1][1], 0  # runs[at:] are those not wholly used up
    while True:
        hole, at = _first_hole(episode.base, runs, at)
        if at == len(runs):
            legs.append(Leg(episode))
            return Course(tuple(legs))
        window = max(episode.window(hole), 1)
        last = hole + window
        received = []
        while at < len(runs) and runs[at][0] < last:
            received.append((runs[at][0], min(runs[at][1], last)))
            at += 1
        recovery = LossRecovery(hole, window, reduced_window(window), tuple(received))
        legs.append(Leg(episode, recovery))
        if end <= last or not received:
            return Course(tuple(legs))
        at -= 1  # it may reach into the next episode
        episode = Episode(last, recovery.edge(last) - last, recovery.reduced, episode.law)


def _first_hole(base: int, runs: Sequence[Range], at: int) -> tuple[int, int]:
    """Return the first number from `base` on that is in none of runs[at:], and the index of the first run above it."""
    while at < len(runs) and runs[at][1] <= base:
        at += 1
    return (runs[at][1], at + 1) if at < len(runs) and runs[at][0] <= base else (base, at)


def paused(episode: Episode, window: int, base: int, idle_window: int) -> Episode:
    """Return the episode at `base` after one that ended idle at `window`: the window is kept in part."""
    _, _, ssthresh, law = episode
    if window * 3 // 4 > ssthresh:
        ssthresh = window * 3 // 4
    if window > idle_window:
        window = idle_window
    return _new(Episode, (base, window or 1, ssthresh, law))  # faster than the class: made for every small exchange


def timed_out(episode: Episode, window: int, base: int) -> Episode:
    """Return the episode at `base` after one that ended with a timeout at `window`."""
    return Episode(base, 2 if window > 2 else 1, max(window // 2, 2), episode.law)


def rescaled(episode: Episode, old_bytes: int, new_bytes: int) -> Episode:
    """Return the episode after the datagram size grew: the same rate in bytes, never more packets, at least one."""
    if new_bytes <= old_bytes:
        return episode
    base, start, ssthresh, law = episode
    return _new(Episode, (base, start * old_bytes // new_bytes or 1, ssthresh, law))
