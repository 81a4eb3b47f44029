"""The long form: many seeds, a table of the worst of each figure, and the shrunk actions of what broke a bound."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fuzz.cheats import neighbour
from tests.fuzz.cheats.oracles import BOUNDS
from tests.fuzz.cheats.search import STEPS, Outcome, listed, run_seed, shrink


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz.cheats", description=__doc__)
    options.add_argument("--seeds", type=int, default=100, help="how many seeds to run (default: 100)")
    options.add_argument("--first", type=int, default=0, help="the first of them")
    options.add_argument("--steps", type=int, default=STEPS, help=f"actions of each (default: {STEPS})")
    options.add_argument("--only", choices=list(BOUNDS), action="append", help="look at this figure alone")
    options.add_argument("--no-shrink", action="store_true", help="do not look for the fewest actions")
    options.add_argument("--neighbours", type=int, default=0, help="also run so many cheats beside an honest flow")
    return options


@dataclass
class Tally:
    """The worst of each figure with its seed, and the first run that broke each bound."""

    names: Sequence[str]
    worst: dict[str, tuple[float, int]] = field(default_factory=dict)
    first: dict[str, tuple[Outcome, int, float]] = field(default_factory=dict)  # steps and seconds until then
    seeds: int = 0
    steps: int = 0
    packets: int = 0
    begun: float = field(default_factory=time.process_time)

    @property
    def seconds(self) -> float:
        """CPU time since the beginning."""
        return time.process_time() - self.begun

    def add(self, outcome: Outcome) -> None:
        """One more run."""
        self.seeds += 1
        self.steps += len(outcome.actions)
        self.packets += outcome.packets
        for name in self.names:
            if outcome.worst[name] > self.worst.get(name, (-1.0, 0))[0]:
                self.worst[name] = outcome.worst[name], outcome.plan.seed
            if name in outcome.broken:
                self.first.setdefault(name, (outcome, self.steps, self.seconds))

    def show(self) -> None:
        """Print the table."""
        print(f"{self.seeds} seeds, {self.steps} steps, {self.packets} packets, {self.seconds:.1f} s of CPU\n")
        print(f"{'figure':15} {'worst':>12} {'bound':>9} {'seed':>7}  counts")
        for name, (value, seed) in self.worst.items():
            most, counts = BOUNDS[name].most, BOUNDS[name].counts
            print(f"{name:15} {value:>12,.2f} {most:>9,} {seed:>7}  {counts}{'  BROKEN' if value > most else ''}")


def explain(name: str, found: tuple[Outcome, int, float], *, shrunk: bool) -> None:
    """Print when a bound broke first, and the fewest actions that break it."""
    outcome, steps, seconds = found
    print(f"\n{name}: seed {outcome.plan.seed}, step {outcome.broken[name]}; after {steps} steps, {seconds:.1f} s;")
    print(f"    {outcome.plan}")
    if shrunk:
        print(listed(shrink(outcome, name)))


def beside(seeds: range) -> bool:
    """Run drawn cheats beside an honest flow, print the greediest; True when its share is no more than allowed."""
    shares = [(neighbour.share(neighbour.habits(seed), seed), seed) for seed in seeds]
    share, seed = max(shares)
    print(f"{'share':15} {share:>12.2f} {neighbour.MOST_SHARE:>9} {seed:>7}  of a bottleneck, over the fair one")
    for habit in neighbour.habits(seed) if share > neighbour.MOST_SHARE else ():
        print(f"    {habit.packets} packets, {habit.every} us, since {habit.since} us:\n{listed(habit.actions)}")
    return share <= neighbour.MOST_SHARE


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print; 1 when a bound broke."""
    options = parser().parse_args(argv)
    tally, seeds = Tally(options.only or list(BOUNDS)), range(options.first, options.first + options.seeds)
    for seed in seeds:
        tally.add(run_seed(seed, options.steps))
    tally.show()
    fair = beside(range(options.first, options.first + options.neighbours)) if options.neighbours else True
    for name, found in tally.first.items():
        explain(name, found, shrunk=not options.no_shrink)
    return 1 if tally.first or not fair else 0


if __name__ == "__main__":
    sys.exit(main())
