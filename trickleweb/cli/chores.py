"""Things to do every so often, by whoever comes round anyway."""

from __future__ import annotations

import time
from collections.abc import Callable

Chore = Callable[[], object]


class Chores:
    """`tick` does what is due, each chore at once and then about every so many seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._chores: list[tuple[float, Chore]] = []
        self._due: list[float] = []

    def every(self, seconds: float, chore: Chore) -> None:
        """Add a chore."""
        self._chores.append((seconds, chore))
        self._due.append(self._clock())

    def tick(self) -> None:
        """Do what is due now."""
        now = self._clock()
        for index, (seconds, chore) in enumerate(self._chores):
            if self._due[index] <= now:
                self._due[index] = now + seconds
                chore()
