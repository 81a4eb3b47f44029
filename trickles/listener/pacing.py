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
from trickles.trickle import Episode
from trickles.wire.request import Run

_LONG_AGO = -(1 << 62)
_REMEMBERED = 4  # restarts whose repeats are known; a client repeats the latest only


Begun = tuple[Episode, int]  # a restart that was granted: its episode and its datagram size


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

    def shortened(self, most: int) -> Backoff:
        """The state in which the last time set a wait of at most that."""
        due, wait = self
        return self if wait <= most else Backoff(due - wait + most, most)


RESTED = Backoff()


class Pace(NamedTuple):
    """What restarts have used up. A value: who takes one back compares, and puts the one before in its place."""

    used: int = -1  # the newest time of issue of a continuation that was good for a whole window
    shown: int = 0  # numbers below were proved by a restart, or lie below one
    credit: int = 0  # numbers proved since the back-off was ended
    backoff: Backoff = RESTED
    begun: tuple[Begun, ...] = ()  # the latest

    def restarted(self, begun: Begun, issued: int | None, new: int, now: int, limits: Limits) -> Pace | None:
        """The state after a restart; None when it comes too early.

        `issued` is of a continuation that it uses up, None for one after loss; `new` numbers are proved for the first
        time.
        """
        used, shown, credit, backoff, earlier = self
        credit += new
        if credit >= limits.substantial_proof:
            credit, backoff = 0, RESTED
        if issued is not None:
            used = issued if issued > used else used
        else:
            if new:
                backoff = backoff.shortened(limits.proved_restart_interval)
            waits = backoff.after(now, limits.min_restart_interval, limits.most_backoff)
            if waits is None:
                return None
            backoff = waits
        base = begun[0].base
        return Pace(used, base if base > shown else shown, credit, backoff, (*earlier[1 - _REMEMBERED :], begun))

    def find(self, base: int) -> Begun | None:
        """The restart that was granted at exactly that base, if it is one of the latest."""
        return next((each for each in self.begun if each[0].base == base), None)


UNUSED = Pace()


def newly_proved(runs: Sequence[Run], shown: int) -> int:
    """How many numbers from `shown` on the runs prove."""
    if len(runs) == 1:  # as in most requests
        start, stop, _ = runs[0]
        return stop - start if start >= shown else max(stop - shown, 0)
    return sum(stop - max(start, shown) for start, stop, _ in runs if stop > shown)
