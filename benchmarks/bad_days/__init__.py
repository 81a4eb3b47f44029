"""What becomes of a fleet when its surroundings go wrong: a full disk, lost readers, a clock that jumps, and so on.

For each cause a fresh fleet of `trickleweb serve` (two replicas, a gateway) is asked for files all the time, while the
cause lasts and afterwards. Where a cause does not itself stop processes, all replicas and then the gateway get SIGKILL
in the middle of it: whoever keeps them up must be able to. Every byte is compared. Nobody lends the fleet a hand.

`served during` is the share of requests that were begun during the cause and answered with the right bytes within two
seconds; `back after` is how long after the cause's end all requests succeed again (0 if none failed after it).
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.bad_days.causes import CAUSES, Cause
from benchmarks.bad_days.watching import Day, NotHere, day
from benchmarks.support.results import Outcome, save
from benchmarks.support.tables import number, table

BACK_SECONDS = 2.0


def judged(cause: Cause, seen: Day) -> list[str]:
    """What should not have been."""
    wrong = [f"{seen.wrong} answers with wrong bytes"] if seen.wrong else []
    late = [f"back only after {seen.back_seconds:.1f} s"] if seen.back_seconds > BACK_SECONDS else []
    dead = [f"not there in the end: {', '.join(seen.missing)}"] if seen.missing else []
    few = [f"{seen.share:.0%} served, at least {cause.least_share:.0%} should be"] * (seen.share < cause.least_share)
    return wrong + late + dead + few


def measure(options: argparse.Namespace, outcome: Outcome) -> dict[str, Day]:
    """One bad day for each cause."""
    done = {}
    for cause in CAUSES:
        if options.only and not any(word in cause.name for word in options.only):
            continue
        try:
            done[cause.name] = day(cause, seconds=options.seconds)
        except NotHere as reason:
            outcome.skip(cause.name, str(reason))
            continue
        for each in judged(cause, done[cause.name]):
            outcome.fail(f"bad_days: {cause.name}: {each}")
    return done


def show(done: dict[str, Day]) -> None:
    """Print the table."""
    headers = ["cause", "requests", "served during", "wrong bytes", "killed", "started again", "back after s"]
    cells = []
    for name, each in done.items():
        counts = [str(each.asked), f"{each.share:.1%}", str(each.wrong), str(each.killed), str(each.started)]
        cells.append([name, *counts, number(each.back_seconds)])
    print(table("Bad days of a fleet: what was served during each, and when all was well again", headers, cells))


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks bad_days", description=__doc__)
    options.add_argument("--seconds", type=float, default=3.0, help="that each cause lasts")
    options.add_argument("--only", nargs="+", default=[], help="words of the causes to try, as: disk clock")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if all was as it should be."""
    options, outcome = parser().parse_args(argv), Outcome()
    done = measure(options, outcome)
    if done:
        show(done)
    outcome.figures["days"] = {name: asdict(each) for name, each in done.items()}
    save("bad_days", vars(options), outcome)
    return 1 if outcome.errors else 0
