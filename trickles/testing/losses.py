"""Kinds of packet loss: independent, in short bursts, in a two-state channel, on a timetable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class BurstLoss:
    """Loss of `rate` of all packets, in runs of 1 to `longest`, equally likely, never adjacent."""

    rate: float
    longest: int = 3

    def __post_init__(self) -> None:
        if self.longest < 1 or not 0 <= self.start_probability <= 1:
            raise ValueError(f"no such burst loss: {self}")

    @property
    def start_probability(self) -> float:
        """Chance that a packet outside a run starts one, so that `rate` holds over all packets."""
        mean = (1 + self.longest) / 2
        return self.rate / (mean * (1 - self.rate)) if self.rate < 1 else 2.0


@dataclass(frozen=True, slots=True)
class Gilbert:
    """The channel of Gilbert and Elliott: a packet changes the state with these odds, and is lost by the state's."""

    enter: float  # good to bad
    leave: float  # bad to good
    loss_bad: float = 1.0
    loss_good: float = 0.0


@dataclass(frozen=True, slots=True)
class Blackhole:
    """Loss of everything for `down` microseconds from `first` on, and again every `period` (None: only once)."""

    down: int
    first: int
    period: int | None = None

    def covers(self, when: int) -> bool:
        since = when - self.first
        return since >= 0 and (since if self.period is None else since % self.period) < self.down


Loss = float | BurstLoss | Gilbert


def loss_test(loss: Loss, rng: Random) -> Callable[[], bool]:
    """Return a function that decides for each packet whether it is lost."""
    if isinstance(loss, BurstLoss):
        return _Bursts(loss, rng).lost
    if isinstance(loss, Gilbert):
        return _Channel(loss, rng).lost
    return lambda: rng.random() < loss


class _Bursts:
    __slots__ = ("_law", "_left", "_rng")

    def __init__(self, law: BurstLoss, rng: Random) -> None:
        self._law = law
        self._rng = rng
        self._left = -1  # packets of the run still to lose; 0: the packet after a run, which always passes

    def lost(self) -> bool:
        if self._left < 0 and self._rng.random() < self._law.start_probability:
            self._left = self._rng.randint(1, self._law.longest)
        hit = self._left > 0
        self._left = max(self._left - 1, -1)
        return hit


class _Channel:
    __slots__ = ("_bad", "_law", "_rng")

    def __init__(self, law: Gilbert, rng: Random) -> None:
        self._law = law
        self._rng = rng
        self._bad = False

    def lost(self) -> bool:
        law, draw = self._law, self._rng.random
        if draw() < (law.leave if self._bad else law.enter):
            self._bad = not self._bad
        return draw() < (law.loss_bad if self._bad else law.loss_good)
