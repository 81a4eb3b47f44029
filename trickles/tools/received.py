"""Received packet numbers with their nonces, and proofs of receipt from them."""

from __future__ import annotations

from bisect import bisect_right
from functools import reduce
from operator import xor

from trickles.wire.request import Run


class Received(dict[int, int]):
    """Nonces by packet number. `runs` is cheap after each arrival, and expensive after a deletion."""

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[Run] = []  # ascending, apart from each other
        self._counted = 0  # count of numbers in the runs

    def add(self, number: int, nonce: int) -> bool:
        """Note an arrival; return False when the number had come before."""
        if number in self:
            return False
        self._settle()
        self[number] = nonce
        self._counted += 1
        self._insert(number, nonce)
        return True

    def runs(self, base: int = 0, stop: int | None = None) -> tuple[Run, ...]:
        """Return the proof of all numbers in [base, stop): runs (start, stop, nonce)."""
        self._settle()
        first = max(bisect_right(self._runs, (base, base, 0)) - 1, 0)
        end = self.top if stop is None else stop
        clipped = (self._clipped(run, base, end) for run in self._runs[first:] if run[0] < end)
        return tuple(run for run in clipped if run[0] < run[1])

    def run(self, start: int, stop: int) -> Run:
        """Return the proof of exactly [start, stop); KeyError when a number is missing."""
        return start, stop, reduce(xor, (self[number] for number in range(start, stop)), 0)

    @property
    def top(self) -> int:
        """One past the highest number that arrived, or 0."""
        self._settle()
        return self._runs[-1][1] if self._runs else 0

    def _clipped(self, run: Run, start: int, stop: int) -> Run:
        a, b, _ = run
        return run if start <= a and b <= stop else self.run(max(a, start), max(min(b, stop), a, start))

    def _settle(self) -> None:
        if self._counted != len(self):
            self._runs, self._counted = [], len(self)
            for number in sorted(self):
                self._insert(number, self[number])

    def _insert(self, number: int, nonce: int) -> None:
        runs, at = self._runs, bisect_right(self._runs, (number, number, 0))
        if at and runs[at - 1][1] == number:
            start, _, before = runs[at - 1]
            at -= 1
            runs[at] = start, number + 1, before ^ nonce
        else:
            runs.insert(at, (number, number + 1, nonce))
        if at + 1 < len(runs) and runs[at + 1][0] == number + 1:
            _, stop, after = runs.pop(at + 1)
            runs[at] = runs[at][0], stop, runs[at][2] ^ after
