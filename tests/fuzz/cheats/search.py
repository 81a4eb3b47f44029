"""Run seeds, shrink what broke a bound to few actions, and write these as code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from enum import Enum
from itertools import groupby, islice

from tests.fuzz.cheats.actions import Action
from tests.fuzz.cheats.oracles import BOUNDS
from tests.fuzz.cheats.swarm import Swarm, plan
from tests.fuzz.cheats.world import Plan, World

STEPS = 300
MOST_PACKETS = 30_000  # of one run: windows grow without end
_MOST_TRIES = 600
_FEW = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to."""

    plan: Plan
    actions: tuple[Action, ...]  # those that were done
    worst: dict[str, float]
    broken: dict[str, int]  # the step at which each bound first broke
    packets: int


def run(actions: Sequence[Action], plan: Plan) -> Outcome:
    """Do exactly these actions."""
    world, broken = World(plan), dict[str, int]()
    for action in actions:
        _step(world, action, broken)
    return Outcome(plan, tuple(actions), world.findings.worst, broken, world.findings.packets)


def run_seed(seed: int, steps: int = STEPS) -> Outcome:
    """Do what the seed draws."""
    world, swarm, broken, done = World(plan(seed)), Swarm(seed), dict[str, int](), list[Action]()
    for action in islice(swarm.actions(lambda: world.findings.packets), steps):
        done.append(action)
        _step(world, action, broken)
        if world.findings.packets > MOST_PACKETS:
            break
    return Outcome(world.plan, tuple(done), world.findings.worst, broken, world.findings.packets)


def _step(world: World, action: Action, broken: dict[str, int]) -> None:
    world.step(action)
    for name, value in world.findings.worst.items():
        if value > BOUNDS[name].most:
            broken.setdefault(name, world.steps)


def shrink(outcome: Outcome, name: str) -> tuple[Action, ...]:
    """The fewest actions found that still break that bound (delta debugging)."""
    actions = list(outcome.actions[: outcome.broken[name]])
    tries, size = 0, max(len(actions) // 2, 1)
    while tries < _MOST_TRIES:
        at, cut = 0, False
        while at < len(actions) and tries < _MOST_TRIES:
            shorter = actions[:at] + actions[at + size :]
            tries += 1
            if name in run(shorter, outcome.plan).broken:
                actions, cut = shorter, True
            else:
                at += size
        if size == 1 and not cut:
            break
        size = max(size // 2, 1)
    return tuple(_plainer(actions, outcome.plan, name) if len(actions) < _FEW else actions)


def _plainer(actions: list[Action], plan: Plan, name: str) -> list[Action]:
    """The same with as many fields as possible at their defaults."""
    for at, action in enumerate(actions):
        for each in fields(action):  # type: ignore[arg-type]
            if getattr(actions[at], each.name) == each.default or each.default is MISSING:
                continue
            simpler = [*actions]
            simpler[at] = replace(actions[at], **{each.name: each.default})  # type: ignore[type-var]
            if name in run(simpler, plan).broken:
                actions = simpler
    return actions


def shown(action: Action) -> str:
    """The action as code, with those fields only that are not at their defaults."""
    told = []
    for each in fields(action):  # type: ignore[arg-type]
        value = getattr(action, each.name)
        if value != each.default:
            name = f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else str(value)
            told.append(f"{each.name}={name}")
    return f"{type(action).__name__}({', '.join(told)})"


def listed(actions: Iterable[Action]) -> str:
    """One line for each action, equal ones that follow each other in one."""
    rows = [(action, len(list(group))) for action, group in groupby(actions)]
    return "\n".join(f"    {shown(action)}," + (f"  # x {times}" if times > 1 else "") for action, times in rows)
