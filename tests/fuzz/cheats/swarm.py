"""From a seed to a plan, and from a plan to actions: each seed has its own small choice of what may happen.

Most seeds leave most actions out (swarm testing: what is rare in a uniform mixture is common where half of it is
missing), and repeat: the last few actions over and over, with a pause between. A greedy seed repeats those stretches of
actions that brought most packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

from tests.fuzz.cheats.actions import (
    SMALL,
    Action,
    Again,
    Feel,
    Forget,
    GoOn,
    Greet,
    Mood,
    Move,
    Ping,
    Resolve,
    Restart,
    SetBack,
    Speak,
    Wait,
)
from tests.fuzz.cheats.peer import Place, Show, Span, Wants
from tests.fuzz.cheats.pieces import Commit, Pieces
from tests.fuzz.cheats.world import Plan
from trickles.limits import MILLISECOND, SECOND
from trickles.wire.kinds import RequestFlag, Suite

Value = TypeVar("Value")
CLOCKS = (0, 0, 0, SECOND, -SECOND, 9 * SECOND, -9 * SECOND, 29 * SECOND, 3_600 * SECOND)
LOSSES = (0, 0, 10, 50, 200)
ROUND_TRIP = 50 * MILLISECOND
PAUSES = (0, 0, 1, 5 * MILLISECOND, ROUND_TRIP, ROUND_TRIP, 200 * MILLISECOND, SECOND, 31 * SECOND)
FLAGS = (0, 0, RequestFlag.CLEAN, RequestFlag.PROBE, RequestFlag.CLEAN | RequestFlag.PROBE)
_GREED = 0.5
_LONGEST = 5  # actions that are repeated together
_MOST_TIMES = 40


def plan(seed: int) -> Plan:
    """The fleet and the way to it."""
    rng = Random(f"plan {seed}")
    clocks = tuple(rng.choice(CLOCKS) for _ in range(rng.choice((1, 1, 2, 3))))
    loss, suite = rng.choice(LOSSES), rng.choice((Suite.SEALED,) * 4 + (Suite.OPEN,))
    return Plan(seed, clocks, loss, suite, has_spool(seed))


@dataclass
class Swarm:
    """What one seed chooses from."""

    seed: int
    rng: Random = field(init=False)
    greedy: bool = field(init=False)

    def __post_init__(self) -> None:
        self.rng = rng = Random(f"swarm {self.seed}")
        self.greedy = rng.random() < 0.3
        self._kinds = _subset(rng, KINDS)
        self._shows = _subset(rng, tuple(Show))
        self._places = _subset(rng, tuple(Place))
        self._spans = _subset(rng, tuple(Span))
        self._flags = _subset(rng, FLAGS)
        self._wants = (Wants.MUCH, *_subset(rng, tuple(Wants)))
        self._moods = (Mood.STREAM, *_subset(rng, tuple(Mood)))
        self._pauses = _subset(rng, PAUSES)
        self._old = rng.choice((0.1, 0.5, 0.8))  # how often an old continuation is shown
        self._replicas = rng.choice((1, 1, 3))
        self._clock = Random(f"clock {self.seed}")  # of its own, so that seeds without steps draw the same as before
        self._spools = 0.3 if has_spool(self.seed) else 0.0
        self._steps = self._clock.choice((0.0, 0.0, 0.0, 0.05))  # how often a clock is set back

    def actions(self, earned: Callable[[], int]) -> Iterator[Action]:
        """Actions without end; `earned` gives the packets received so far."""
        past: list[tuple[Action, int]] = []  # and what each brought
        for _ in range(self.rng.randrange(8)):
            yield GoOn()
            yield Wait(ROUND_TRIP)
        while True:
            if self._clock.random() < self._steps:
                step = int(10 ** self._clock.uniform(4, 9.6))
                yield SetBack(step, self._clock.randrange(self._replicas))
            if self._clock.random() < self._spools:
                yield self._spool()
            for action in self._next(past):
                before = earned()
                yield action
                past.append((action, earned() - before))

    def _spool(self) -> Action:
        """Pieces or a commit."""
        rng, replica = self._clock, self._clock.randrange(self._replicas)
        if rng.random() < 0.6:
            return Commit(rng.randrange(1 << 16), rng.choice((1, 1 << 30)), rng.choice((0, 1, 500, 1 << 16)), replica)
        at, size = rng.choice((0, 0, rng.randrange(1 << 18), 1 << 26)), rng.choice((1, 1, 256, 1_000))
        return Pieces(at, rng.choice((1, 20, 1_000)), size, rng.choice((size, size, size, size + 1, 70_000)), replica)

    def _next(self, past: list[tuple[Action, int]]) -> list[Action]:
        rng = self.rng
        choice = rng.random()
        if past and choice < 0.15:
            length = rng.randrange(1, _LONGEST + 1)
            at = len(past) - length
            if self.greedy and rng.random() < _GREED:
                at = self._best(past, length)
            again = [action for action, _ in past[max(at, 0) : max(at, 0) + length]]
            pause = rng.choice(self._pauses)
            again += [Wait(pause)] if pause else []
            return again * rng.randrange(2, _MOST_TIMES)
        if choice < 0.2:  # the same over and over, each at a place of its own
            drawn = [self.restart() for _ in range(rng.choice((1, 1, 2, 3)))]
            apart = [replace(each, place=Place.ABOVE, skip=self._skip()) for each in drawn]
            return [*apart, Wait(rng.choice(self._pauses))] * rng.randrange(2, _MOST_TIMES)
        if choice < 0.4:
            return [GoOn(rng.randrange(self._replicas)), Wait(rng.choice((ROUND_TRIP, 1)))]
        return [self._fresh()]

    @staticmethod
    def _best(past: list[tuple[Action, int]], length: int) -> int:
        """Where the stretch of actions begins that brought most, of those of late."""
        starts = range(max(len(past) - 200, 0), len(past) - length + 1)
        return max(starts, key=lambda at: sum(gain for _, gain in past[at : at + length]), default=0)

    def _fresh(self) -> Action:
        return self.rng.choice(self._kinds)(self)

    # one of each kind

    def speak(self) -> Action:
        """Speak for something."""
        rng = self.rng
        return Speak(
            held=self._back(),
            show=rng.choice(self._shows),
            span=rng.choice(self._spans),
            flags=rng.choice(self._flags),
            wants=rng.choice(self._wants),
            user=self._rarely(),
            replica=rng.randrange(self._replicas),
            pick=rng.randrange(16),
        )

    def restart(self) -> Restart:
        """Begin somewhere else."""
        rng = self.rng
        return Restart(
            held=self._back(),
            show=rng.choice(self._shows),
            place=rng.choice(self._places),
            skip=self._skip(),
            flags=rng.choice(self._flags),
            size=rng.choice((SMALL, SMALL, SMALL, 1_452, 9_000, 65_507, 0)),
            wants=rng.choice(self._wants),
            user=self._rarely(),
            replica=rng.randrange(self._replicas),
            pick=rng.randrange(16),
        )

    def again(self) -> Action:
        """Say something once more."""
        rng = self.rng
        flags = rng.choice((0, RequestFlag.PROBE))
        return Again(self._back(), rng.random() < 0.7, flags, rng.randrange(self._replicas))

    def greet(self) -> Action:
        """Greet once more."""
        return Greet(self.rng.randrange(self._replicas), self.rng.choice((0, 3_600)))

    def wait(self) -> Action:
        """Any time from nothing to beyond a continuation's life."""
        return Wait(min(int(10 ** self.rng.uniform(2, 7.6)), 40 * SECOND))

    def ping(self) -> Action:
        """Probe a size."""
        return Ping(self.rng.choice((SMALL, 1_452, 9_000)), self._back(), self.rng.randrange(self._replicas))

    def move(self) -> Action:
        """Go elsewhere, or back."""
        return Move(self.rng.randrange(3))

    def forget(self) -> Action:
        """Lose a replica's memory."""
        return Forget(self.rng.randrange(self._replicas))

    def feel(self) -> Action:
        """Change a service."""
        return Feel(self.rng.choice(self._moods), self.rng.randrange(self._replicas))

    def resolve(self) -> Action:
        """Let a service answer."""
        return Resolve(self.rng.randrange(1, 20), self.rng.randrange(self._replicas))

    def _back(self) -> int:
        """The newest, or one of those before it, or one that stays the same whatever comes."""
        near = int(self.rng.expovariate(0.3))
        return self.rng.choice((near, -1 - near, self.rng.randrange(100))) if self.rng.random() < self._old else 0

    def _rarely(self) -> int:
        return self.rng.choice((0, 0, 0, 1, 99))

    def _skip(self) -> int:
        return 0 if self.rng.random() < 0.3 else int(2 ** self.rng.uniform(0, 20))


FIRST_WITH_SPOOL = 40


def has_spool(seed: int) -> bool:
    """True when the replicas of that seed have a spool; not with the first ones, which the fast suite draws."""
    return seed >= FIRST_WITH_SPOOL and Random(f"spool {seed}").random() < 0.25


KINDS: tuple[Callable[[Swarm], Action], ...] = (
    Swarm.speak,
    Swarm.speak,
    Swarm.speak,
    Swarm.restart,
    Swarm.restart,
    Swarm.restart,
    Swarm.again,
    Swarm.again,
    Swarm.wait,
    Swarm.greet,
    Swarm.ping,
    Swarm.move,
    Swarm.forget,
    Swarm.feel,
    Swarm.resolve,
)


def _subset(rng: Random, values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Some of them, at least one."""
    kept = tuple(value for value in values if rng.random() < 0.5)
    return kept or (rng.choice(values),)
