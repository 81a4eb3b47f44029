"""The scoreboard: received packet numbers, their nonces, and the holes declared lost.

Numbers below `cursor` are decided: received (and in the proof) or declared lost for good, so that every request of the
episode shows the same holes. Received numbers above a hole wait until the hole fills or is declared.

Memory is bounded whatever a fleet sends: by numbers that wait, and by declared holes. A proof with more holes fits no
request, so once there are too many (`shattered`) no more are declared and only a restart goes on.
"""

from __future__ import annotations

from functools import reduce
from operator import xor

from trickles.client.arrivals import Arrivals
from trickles.limits import DEFAULT_LIMITS, Limits
from trickles.ranges import Range
from trickles.trickle import Course, Episode, Leg, course
from trickles.wire.request import Run

_Run = list[int]  # start, stop, nonce
_new = tuple.__new__  # faster than the class, for values made for every small exchange


class Scoreboard:
    """The proof of one episode and of those that follow from it by loss, until a fresh continuation."""

    __slots__ = ("_course", "_most_holes", "_numbers", "_runs", "_splits", "_waiting", "cursor", "episode", "holes")

    def __init__(self, episode: Episode, limits: Limits = DEFAULT_LIMITS) -> None:
        self._most_holes = limits.max_runs
        self._waiting = Arrivals(limits.most_out_of_order)
        self._numbers = self._waiting.numbers
        self.start_over(episode)

    def start_over(self, episode: Episode) -> None:
        """Begin an episode by a restart: nothing of it is proved, but its first packets may have arrived."""
        self.episode = episode
        self.cursor = episode.base
        self.holes = 0
        self._runs: list[_Run] = []
        self._splits: set[int] = set()
        self._course: Course | None = None
        if self._numbers:
            self._waiting.discard_below(episode.base)
            self._absorb()

    def rebase(self, episode: Episode) -> None:
        """Adopt the fresh continuation of an episode that this scoreboard has already followed into."""
        if episode.base > self.cursor:
            self.start_over(episode)
            return
        self.episode = episode
        self._runs = [run for run in self._runs if run[0] >= episode.base]
        self._splits = {split for split in self._splits if split > episode.base}
        self._course = None
        self.holes = sum(a[1] != b[0] for a, b in zip(self._runs, self._runs[1:], strict=False))
        self.holes += bool(self._runs and self._runs[0][0] != episode.base)

    def received(self, start: int, nonces: list[int], now: int = 0) -> None:
        """Note that packets start, start + 1, ... arrived with these nonces."""
        if start == self.cursor and not self._numbers and not self._splits:
            stop = start + len(nonces)
            self._extend(start, stop, reduce(xor, nonces))
            return
        for number, nonce in enumerate(nonces, start):
            if number >= self.cursor:
                self._waiting.add(number, nonce, now)
        self._absorb()

    def restore(self, run: Run) -> None:
        """Continue with a run from the episode's base on that was proved before."""
        self._extend(*run)

    def _extend(self, start: int, stop: int, nonce: int) -> None:
        runs = self._runs
        if runs and runs[-1][1] == start and start not in self._splits:
            runs[-1][1] = stop
            runs[-1][2] ^= nonce
        else:
            runs.append([start, stop, nonce])
        self.cursor = stop
        if self.holes or len(runs) == 1:
            self._course = None

    def _absorb(self) -> None:
        numbers, waiting = self._numbers, self._waiting
        while numbers and numbers[0] == self.cursor:
            number, nonce = waiting.take_lowest()
            self._extend(number, number + 1, nonce)

    def awaits(self, number: int) -> bool:
        """Return True when that number is new: neither decided nor waiting."""
        return number >= self.cursor and number not in self._waiting

    def fills(self, number: int) -> bool:
        """Return True when that number is of the first hole."""
        return bool(self._numbers) and self.cursor <= number < self._numbers[0]

    @property
    def arrived(self) -> int:
        """A number that changes with each packet that is new."""
        return self.cursor + len(self._numbers)

    @property
    def waiting(self) -> int:
        """Count of numbers that arrived above the first undeclared hole."""
        return len(self._numbers)

    @property
    def hole_since(self) -> int:
        """Time since which a number above the first undeclared hole waits; holes age together."""
        return self._waiting.since

    def hole(self) -> Range | None:
        """Return the first undeclared hole, if something above it has arrived."""
        return (self.cursor, self._numbers[0]) if self._numbers and not self.shattered else None

    @property
    def shattered(self) -> bool:
        """True when there are more holes than a proof can show."""
        return self.holes > self._most_holes

    @property
    def reach(self) -> int:
        """One past all numbers granted so far; numbers above it belong to another episode."""
        return self.course.edge(self.cursor)

    def discard_waiting(self, stop: int) -> None:
        """Forget waiting numbers below `stop`: their episode is given up."""
        self._waiting.discard_below(stop)

    def declare_lost(self) -> Range:
        """Declare the first hole lost for good and go on above it; return it."""
        start = self.cursor
        stop, nonce = self._waiting.take_lowest()
        self.holes += 1
        self._course = None
        self._extend(stop, stop + 1, nonce)
        self._splits |= {leg.recovery.last for leg in self.course.legs if leg.recovery}
        self._absorb()
        return start, stop

    @property
    def course(self) -> Course:
        if self._course is None:
            self._course = self._whole() or course(self.episode, [(start, stop) for start, stop, _ in self.proof()])
        return self._course

    def _whole(self) -> Course | None:
        """Return the course without losses, which is the episode itself; None when there were losses."""
        lossless = not self._runs or (len(self._runs) == 1 and self._runs[0][0] == self.episode.base)
        return _new(Course, ((_new(Leg, (self.episode, None)),),)) if lossless else None

    def proof(self) -> tuple[tuple[int, int, int], ...]:
        """Return the runs (start, stop, nonce) from the episode's base on, neighbours merged."""
        if len(self._runs) == 1:
            start, stop, nonce = self._runs[0]
            return ((start, stop, nonce),)
        merged: list[_Run] = []
        for start, stop, nonce in self._runs:
            if merged and merged[-1][1] == start:
                merged[-1][1] = stop
                merged[-1][2] ^= nonce
            else:
                merged.append([start, stop, nonce])
        return tuple((start, stop, nonce) for start, stop, nonce in merged)

    @property
    def clean(self) -> bool:
        """True when at least one packet is proved and there is no hole."""
        return bool(self._runs) and not self.holes and not self._numbers
