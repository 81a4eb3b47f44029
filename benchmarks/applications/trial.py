"""One application in three runs: under its usual server, under `trickleweb run`, and there with replicas killed."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from benchmarks.applications.catalogue import Program
from benchmarks.applications.hosting import environment, fleet, peer
from benchmarks.applications.visiting import Report
from benchmarks.peers.http_server import HttpServer, running
from benchmarks.support.killer import Killer
from benchmarks.support.processes import Child, module

PREPARE_SECONDS, VISIT_SECONDS = 120.0, 300.0
PEER_VISITS = 3
Shown = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long visits go on, and how replicas are killed meanwhile."""

    seconds: float
    interval: float
    seed: int
    preload: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """What one server did for its visitors; `differences` are values that the usual server did not show."""

    server: str
    kills: int
    report: Report
    differences: tuple[str, ...]

    def faults(self) -> list[str]:
        """What nobody should have seen."""
        return [*self.report.errors, *self.report.wrong_effects, *self.differences]


@dataclass(frozen=True, slots=True)
class Trial:
    """The runs of an application; none under kills if it keeps its clients in memory."""

    program: Program
    peer: Run
    plain: Run
    killed: Run | None

    def figures(self) -> dict[str, object]:
        """For the results; what was shown is long, and left out."""
        return {
            "application": self.program.name,
            "client": self.program.client_name,
            **{name: asdict(run) for name, run in self.runs().items()},
        }

    def runs(self) -> dict[str, Run]:
        runs = {"peer": self.peer, "plain": self.plain, "killed": self.killed}
        return {name: run for name, run in runs.items() if run is not None}


def tried(program: Program, python: Path, terms: Terms) -> Trial:
    """Run an application three times, each time on fresh data; may raise ChildFailed or CalledProcessError."""
    usual = run(program, python, peer(program, python), 0, terms)
    shown, ours = usual.report.shown, fleet(program, python, preload=terms.preload and not program.in_memory)
    plain = run(program, python, ours, 1, terms, shown)
    if program.in_memory:
        return Trial(program, usual, plain, None)
    return Trial(program, usual, plain, run(program, python, ours, 2, terms, shown, kill=True))


def run(
    program: Program,
    python: Path,
    server: HttpServer,
    turn: int,
    terms: Terms,
    known: Shown | None = None,
    *,
    kill: bool = False,
) -> Run:
    """One run; without `known` values it is that of the peer, and visits are few."""
    with tempfile.TemporaryDirectory(prefix="bench-application-") as folder, ExitStack() as cleanup:
        data = Path(folder)
        prepare(program, python, data)
        up = cleanup.enter_context(running(server, data))
        killer = Killer(up.live_replicas, terms.interval, terms.seed)
        visits = [program.client, up.url("").rstrip("/"), data, "--first", turn * 10_000, "--least", PEER_VISITS]
        seconds = 0.0 if known is None else terms.seconds
        words = [str(python), *module("benchmarks.applications.clients", *visits, "--seconds", seconds)[1:]]
        with Child(words, environment=environment(data)) as client:
            if kill:
                killer.start()
                cleanup.callback(killer.stop)
            report = Report(**cast(dict[str, Any], client.message(terms.seconds + VISIT_SECONDS)))
    return Run(server.name, len(killer.kills), report, differences(report.shown, known))


def prepare(program: Program, python: Path, data: Path) -> None:
    """Make the program's data."""
    if program.prepare:
        words = [str(python), "-m", program.prepare]
        surroundings = {**os.environ, **environment(data)}
        subprocess.run(words, check=True, env=surroundings, timeout=PREPARE_SECONDS, capture_output=True)


def differences(shown: Shown, known: Shown | None) -> tuple[str, ...]:
    """Values that the peer did not show, or for the peer's own run those of which it showed several."""
    if known is None:
        return tuple(
            f"{step}: shows {len(values)} values, {list(values)}" for step, values in shown.items() if len(values) > 1
        )
    return tuple(
        f"{step}: {count} times {value}, not {' or '.join(known.get(step, {'nothing': 1}))}"
        for step, values in shown.items()
        for value, count in values.items()
        if value not in known.get(step, {})
    )
