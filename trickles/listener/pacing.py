"""How often a connection may begin anew here without having proved more: soft state that is used up, never reset.

A restart is worth what the client proves by it. What was received before an earlier restart is no news: without new
proof restarts after loss and repeats wait twice as long each time. New proof ends the doubling of restarts and no more:
what it proves was mostly spoken for already and has earned its packets, and a restart with each packet would be a flow
that never halves. Only substantial new proof ends all waiting, so that no cheat buys a free answer with each packet. An
honest client's timers wait longer than this at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trickles.limits import Limits
from trickles.wire.request import Run

_LONG_AGO = -(1 << 62)
_new = tuple.__new__  # the short way, for what is made for every small exchange


class Backoff(NamedTuple):
    """Nothing before `due`; the next time `wait` is twice as long."""

    due: int = _LONG_AGO
    wait: int = 0

    def after(self, now: int, least: int, most: int) -> Backoff | None:
        """The state once something was done at `now`; None when that is too early."""
        if now < self.due:
            return None
        wait = max(least, min(2 * self.wait, most))
        return Backoff(now + wait, wait)

    def earlier(self, step: int) -> Backoff:
        """The state on a clock that was set back by so much: what is left to wait stays."""
        return self._replace(due=self.due - step)

    def shortened(self, most: int) -> Backoff:
        """The state in which the last time set a wait of at most that."""
        due, wait = self
        return self if wait <= most else Backoff(due - wait + most, most)


RESTED = Backoff()


class Pace(NamedTuple):
    """What restarts have used up. A value: who takes one back compares, and puts the one before in its place."""

    used: int = -1  # the newest time of issue of a continuation that was good for a whole window
    shown: int = 0  # where the last restart began: what was received below is no news
    credit: int = 0  # numbers proved since the back-off was ended
    backoff: Backoff = RESTED

    def paused(self, issued: int, base: int, new: int, limits: Limits) -> Pace:
        """The state after a restart at `base` for a whole window, which uses up the continuation of that time of issue.

        `new` numbers are proved for the first time.
        """
        used, _, credit, backoff = self
        credit += new
        if credit >= limits.substantial_proof:
            credit, backoff = 0, RESTED
        return _new(Pace, (issued if issued > used else used, base, credit, backoff))

    def timed_out(self, base: int, new: int, now: int, limits: Limits) -> Pace | None:
        """The state after a restart at `base` after loss; None when it comes too early."""
        used, _, credit, backoff = self.paused(-1, base, new, limits)
        if new:
            backoff = backoff.shortened(limits.proved_restart_interval)
        waits = backoff.after(now, limits.min_restart_interval, limits.most_backoff)
        return None if waits is None else Pace(used, base, credit, waits)

    def set_back(self, step: int, most_used: int) -> Pace:
        """The state on a clock that was set back by so much, and now issues no continuation after `most_used`.

        Else all that it issues until it is where it was would count as used up.
        """
        return self._replace(used=min(self.used, most_used), backoff=self.backoff.earlier(step))


UNUSED = Pace()


def newly_proved(runs: Sequence[Run], shown: int) -> int:
    """How many numbers from `shown` on the runs prove."""
    if len(runs) == 1:  # as in most requests
        start, stop, _ = runs[0]
        return stop - start if start >= shown else max(stop - shown, 0)
    return sum(stop - max(start, shown) for start, stop, _ in runs if stop > shown)
