"""Virtual time: a heap of events, run in order of time and then of scheduling."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, TypeVar

MILLISECOND = 1_000
SECOND = 1_000_000

T = TypeVar("T")

_MOST_AT_ONCE = 1_000  # times one timer may fire without time moving on


class Livelock(RuntimeError):
    """A timer was set for the present time again and again, so virtual time would stop."""


class Clock:
    """The clock of a simulation, in integer microseconds from 0; it moves only when an event runs."""

    __slots__ = ("_heap", "events", "now")

    def __init__(self) -> None:
        self.now = 0
        self.events = 0  # scheduled so far; also the tie-break: equal times run in order of scheduling
        self._heap: list[tuple[int, int, Callable[[Any], object], Any]] = []

    @property
    def next_at(self) -> int | None:
        """Time of the next event, None if there is none."""
        return self._heap[0][0] if self._heap else None

    def at(self, when: int, call: Callable[[T], object], argument: T) -> None:
        """Run `call(argument)` at `when` microseconds; ValueError for a time in the past."""
        if when < self.now:
            raise ValueError(f"{when} is before now, {self.now}")
        self.events += 1
        heappush(self._heap, (when, self.events, call, argument))

    def after(self, delay: int, call: Callable[[], object]) -> None:
        """Run `call()` once, `delay` microseconds from now."""
        self.at(self.now + delay, _invoke, call)

    def every(self, interval: int, call: Callable[[], object], *, first: int | None = None) -> None:
        """Run `call()` each `interval` microseconds for ever, first after `first` (default: one interval)."""
        if interval <= 0:
            raise ValueError(f"interval {interval} would stop time")

        def again() -> None:
            call()
            self.after(interval, again)

        self.after(interval if first is None else first, again)

    def run(self, limit: int, until: Callable[[], bool] | None = None) -> bool:
        """Run events up to `limit`, or until `until()` holds; return True if it does.

        It returns False at the limit, or when there are no more events.
        """
        if until is not None and until():
            return True
        heap = self._heap
        while heap and heap[0][0] <= limit:
            self.now, _, call, argument = heappop(heap)
            call(argument)
            if until is not None and until():
                return True
        self.now = max(self.now, limit) if heap else self.now
        return False


class Timer:
    """A deadline that may be moved; a later one costs no event until the old one is due.

    `Clock.run` raises Livelock when it fires for ever at one moment.
    """

    __slots__ = ("_armed", "_at_once", "_call", "_clock", "_fired", "deadline")

    def __init__(self, clock: Clock, call: Callable[[], object]) -> None:
        self.deadline: int | None = None
        self._armed: int | None = None
        self._fired = -1
        self._at_once = 0
        self._clock = clock
        self._call = call

    def set(self, deadline: int | None) -> None:
        """Call back at `deadline` (at once if past), in place of any earlier deadline; None: not at all."""
        self.deadline = deadline
        if deadline is not None and (self._armed is None or deadline < self._armed):
            self._armed = max(deadline, self._clock.now)
            self._clock.at(self._armed, self._wake, self._armed)

    def _wake(self, armed: int) -> None:
        if armed != self._armed:  # an earlier deadline took this one's place
            return
        self._armed = None
        if self.deadline is None:
            return
        if self.deadline > self._clock.now:
            self.set(self.deadline)
            return
        self._count()
        self.deadline = None
        self._call()

    def _count(self) -> None:
        self._at_once = self._at_once + 1 if self._fired == self._clock.now else 0
        self._fired = self._clock.now
        if self._at_once > _MOST_AT_ONCE:
            raise Livelock(f"{self._call} asks to be called at {self.deadline} for ever; it is {self._clock.now}")


def _invoke(call: Callable[[], object]) -> None:
    call()
