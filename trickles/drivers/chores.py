"""Periodic jobs, run from a loop that ticks at least once a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from trickles.drivers.bookkeeping import failures, unreported

Chore = Callable[[], object]


class Chores:
    """Jobs with intervals: `tick` runs those that are due, each at once and then about every so many seconds.

    An exception ends neither the other jobs nor the caller: it is counted by the job's name and reported, once until
    the job succeeds or fails in another way.
    """

    def __init__(self, report: Callable[[str], None] = unreported, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._chores: list[tuple[str, float, Chore]] = []
        self._due: list[float] = []
        self._troubles: dict[str, str] = {}

    def every(self, seconds: float, name: str, chore: Chore) -> None:
        self._chores.append((name, seconds, chore))
        self._due.append(self._clock())

    def hurry(self) -> None:
        self._due = [self._clock()] * len(self._due)

    def tick(self) -> None:
        now = self._clock()
        for index, (name, seconds, chore) in enumerate(self._chores):
            if self._due[index] <= now:
                self._due[index] = now + seconds
                self._do(name, chore)

    def _do(self, name: str, chore: Chore) -> None:
        try:
            chore()
        except Exception as error:  # noqa: BLE001 - it must not end a process that serves
            failures[name] += 1
            trouble = f"{name}: {type(error).__name__}: {error}"
            if self._troubles.get(name) != trouble:
                self._troubles[name] = trouble
                self._report(trouble)
        else:
            self._troubles.pop(name, None)
