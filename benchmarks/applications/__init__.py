"""Do applications of others run as they are on replicas that are killed?

Each application is installed from PyPI, in one virtual environment outside the tree, and visited by the client that
people use with it, again and again: first under uvicorn or gunicorn, then under `trickleweb run` with three replicas,
then there with a random replica killed every half second. What the client shows is compared with the usual server's,
and effects (rows, files) are counted in the application's data: each exactly once.

`differences` are steps that showed something else than the usual server; `unknown` are unsafe requests whose replica
was killed at work, and which were answered with a 500 that says so. Those are no errors: nothing else may go wrong.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.applications.catalogue import CATALOGUE, Program
from benchmarks.applications.environment import absent, default_folder, installed
from benchmarks.applications.trial import Run, Terms, Trial, tried
from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.tables import number, table

MOST_TEXT = 1000


def judged(trial: Trial, outcome: Outcome) -> None:
    """Report the faults of all runs."""
    for name, run in trial.runs().items():
        for each in run.faults():
            outcome.fail(f"applications: {trial.program.name}, {name}: {each[:MOST_TEXT]}")
    if trial.plain.report.unknown:
        outcome.fail(f"applications: {trial.program.name}: outcomes unknown although no replica was killed")


def measure(options: argparse.Namespace, outcome: Outcome) -> list[Trial]:
    """One trial for each application that can run here."""
    python = Path(sys.executable) if options.here else installed(options.environment)
    terms = Terms(seconds=options.seconds, interval=options.interval, seed=options.seed, preload=not options.cold)
    done: list[Trial] = []
    for program in chosen(options.only):
        if missing := absent(python, program.packages):
            outcome.skip(program.name, f"not installed: {', '.join(missing)}")
            continue
        try:
            done.append(tried(program, python, terms))
        except (ChildFailed, subprocess.SubprocessError) as error:
            outcome.fail(f"applications: {program.name}: {error}")
            continue
        judged(done[-1], outcome)
        visits = ", ".join(f"{run.report.visits} {name}" for name, run in done[-1].runs().items())
        print(f"{program.name}: visits {visits}", flush=True)
    return done


def chosen(words: Sequence[str]) -> list[Program]:
    """Applications whose names begin with one of the words; all if there are none."""
    return [each for each in CATALOGUE if not words or each.name.lower().startswith(tuple(map(str.lower, words)))]


HEADS = ["application", "client", "usual server", "visits", "requests", "differences", "errors plain", "kills"]
HEADS += ["errors under kills", "unknown", "longest answer s", "of the usual server", "plain"]


def show(done: Sequence[Trial]) -> None:
    """Print the table."""
    cells = []
    for each in done:
        runs = [each.plain] if each.killed is None else [each.plain, each.killed]
        under = ["-"] * 4 if each.killed is None else under_kills(each.killed)
        cells.append(
            [
                *(each.program.name, each.program.client_name, each.peer.server),
                *(str(sum(run.report.visits for run in runs)), str(sum(run.report.requests for run in runs))),
                *(str(sum(len(run.differences) for run in runs)), errors(each.plain), *under),
                *(number(run.report.longest_seconds) for run in (each.peer, each.plain)),
            ]
        )
    print(table("Applications as they are, on three replicas, with one killed every so often", HEADS, cells))


def under_kills(run: Run) -> list[str]:
    """The columns of a run with kills."""
    return [str(run.kills), errors(run), str(run.report.unknown), number(run.report.longest_seconds)]


def errors(run: Run) -> str:
    """How many errors and wrong effects there were."""
    return str(len(run.report.errors) + len(run.report.wrong_effects))


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks applications", description=__doc__)
    options.add_argument("--seconds", type=float, default=15.0, help="that visits go on, in each run")
    options.add_argument("--interval", type=float, default=0.5, help="seconds between two kills")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--cold", action="store_true", help="do not preload: killed replicas import their program again"
    )
    options.add_argument("--only", nargs="+", default=[], help="beginnings of the names of applications to try")
    options.add_argument("--environment", type=Path, default=default_folder(), help="folder of their environment")
    options.add_argument("--here", action="store_true", help="install nothing: try those that this interpreter has")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if all was as it should be."""
    options, outcome = parser().parse_args(argv), Outcome()
    done = measure(options, outcome)
    if done:
        show(done)
    outcome.figures["trials"] = [each.figures() for each in done]
    save("applications", vars(options), outcome)
    return 1 if outcome.errors else 0
