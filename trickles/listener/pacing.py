"""The pace of restarts and repeats without new proof: soft state that is used up, never reset.

A restart counts by what it proves. Packets from before an earlier restart prove nothing new: without new proof
restarts after loss and repeats wait twice as long each time. New proof ends only the doubling of restarts: its packets
were mostly acknowledged already and have earned others, and a restart with each packet would be a flow that never
halves. Only substantial new proof ends all waiting, so that a cheat cannot buy an answer with each packet. An honest
client's timers wait longer than this at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trickles.limits import Limits
from trickles.wire.request import Run

_LONG_AGO = -(1 << 62)
_new = tuple.__new__  # faster than the class, for values made for every small exchange


class Backoff(NamedTuple):
    """A back-off: nothing before `due`, and the next wait is twice as long."""

    due: int = _LONG_AGO
    wait: int = 0

    def after(self, now: int, least: int, most: int) -> Backoff | None:
        """Return the state after an action at `now`; None when that is too early."""
        if now < self.due:
            return None
        wait = max(least, min(2 * self.wait, most))
        return Backoff(now + wait, wait)

    def earlier(self, step: int) -> Backoff:
        """Return the state on a clock that was set back by `step`: the remaining wait is unchanged."""
        return self._replace(due=self.due - step)

    def shortened(self, most: int) -> Backoff:
        """Return the state as if the last wait had been at most `most`."""
        due, wait = self
        return self if wait <= most else Backoff(due - wait + most, most)


RESTED = Backoff()


class Pace(NamedTuple):
    """The pace of restarts, a value: it is undone by putting the one before in its place."""

    used: int = -1  # the newest time of issue of a continuation that gave a whole window
    shown: int = 0  # base of the last restart: numbers below are no new proof
    credit: int = 0  # numbers proved since the back-off last ended
    backoff: Backoff = RESTED

    def paused(self, issued: int, base: int, new: int, limits: Limits) -> Pace:
        """Return the pace after a restart at `base` for a whole window, which uses up continuations issued until then.

        `new` numbers are proved for the first time.
        """
        used, _, credit, backoff = self
        credit += new
        if credit >= limits.substantial_proof:
            credit, backoff = 0, RESTED
        return _new(Pace, (issued if issued > used else used, base, credit, backoff))

    def timed_out(self, base: int, new: int, now: int, limits: Limits) -> Pace | None:
        """Return the pace after a restart at `base` after loss; None when it comes too early."""
        used, _, credit, backoff = self.paused(-1, base, new, limits)
        if new:
            backoff = backoff.shortened(limits.proved_restart_interval)
        waits = backoff.after(now, limits.min_restart_interval, limits.most_backoff)
        return None if waits is None else Pace(used, base, credit, waits)

    def set_back(self, step: int, most_used: int) -> Pace:
        """Return the pace on a clock that was set back by `step`, and issues no continuation after `most_used` now.

        Otherwise all that it issues until it has caught up would count as used.
        """
        return self._replace(used=min(self.used, most_used), backoff=self.backoff.earlier(step))


UNUSED = Pace()


def newly_proved(runs: Sequence[Run], shown: int) -> int:
    """Return how many numbers from `shown` on the runs prove."""
    if len(runs) == 1:  # as in most requests
        start, stop, _ = runs[0]
        return stop - start if start >= shown else max(stop - shown, 0)
    return sum(stop - max(start, shown) for start, stop, _ in runs if stop > shown)
