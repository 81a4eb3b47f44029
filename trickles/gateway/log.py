"""The log of failures, a line each, with a bound for each second."""

from __future__ import annotations

import time
from collections.abc import Callable

from trickles.printable import ascii_line

LINES_PER_SECOND = 10


class FailureLog:
    """Writes `TIME CLIENT: REASON` lines; those over a second's bound are counted in the next line."""

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        clock: Callable[[], float] = time.time,
        most: int = LINES_PER_SECOND,
    ) -> None:
        self._write = write
        self._clock = clock
        self._most = most
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def failure(self, client: str, reason: str) -> None:
        now = self._clock()
        if int(now) != self._second:
            self.flush()
            self._second, self._lines = int(now), 0
        if self._lines < self._most:
            self._lines += 1
            self._line(now, f"{client}: {reason}")
        else:
            self._left_out += 1

    def flush(self) -> None:
        """Write how many lines were dropped, if any were."""
        left_out, self._left_out = self._left_out, 0
        if left_out:
            self._line(self._clock(), f"{left_out} more failures")

    def _line(self, now: float, text: str) -> None:
        self._write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now))} {ascii_line(text)}\n")
