"""Show the processes of a fleet that `trickleweb serve` started: pids, packets, bytes, requests, refusals."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from trickles.drivers.keystore.validity import warning_of
from trickles.limits import SECOND
from trickleweb.cli.parser import CommandFailed, Parser
from trickleweb.cli.rundir import DEFAULT, FLEET, GATEWAY, RunDir, is_alive, replica_name

_FIGURES = ("packets_in", "packets_out", "bytes_out", "requests", "refusals")
_CONNECTIONS = ("live", "accepted", "completed", "failed", "reset", "failovers")


class Row(TypedDict):
    """One process: its pid (None while it is dead), restarts, and what it told."""

    name: str
    pid: int | None
    restarts: int
    figures: dict[str, object]


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--run-dir", metavar="DIR", type=Path, default=Path(DEFAULT), help="as of serve (default: .run)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with all that the processes tell")


def run(args: argparse.Namespace) -> int:
    """Print what the files under the run directory say; `CommandFailed` if no fleet runs there."""
    run_dir = RunDir(args.run_dir)
    run_dir.check()
    fleet = run_dir.figures(FLEET)
    if not is_alive(fleet.get("pid")):
        raise CommandFailed(f"no fleet runs under {run_dir.path}")
    rows = list(_rows(run_dir, fleet))
    if args.json:
        print(json.dumps({**fleet, "processes": rows}, indent=2))
        return 0
    print(f"{fleet.get('url') or 'no gateway'}, up {int(time.time()) - (_whole(fleet.get('started')) or 0)} s")
    for line in [*_table(rows), *_warnings(rows, time.time()), *_apart(rows)]:
        print(line)
    return 0


def _rows(run_dir: RunDir, fleet: dict[str, object]) -> Iterator[Row]:
    udp, restarts = fleet.get("udp"), fleet.get("restarts")
    replicas = [replica_name(index) for index in range(len(udp) if isinstance(udp, list) else 0)]
    for name in [*replicas, *([GATEWAY] if fleet.get("url") else [])]:
        pid = run_dir.pid(name)
        begun = _whole(restarts.get(name)) if isinstance(restarts, dict) else None
        yield Row(name=name, pid=pid if is_alive(pid) else None, restarts=begun or 0, figures=run_dir.figures(name))


def _table(rows: list[Row]) -> Iterator[str]:
    yield f"{'process':12}{'pid':>9}{'restarts':>10}" + "".join(f"{each.replace('_', ' '):>14}" for each in _FIGURES)
    for row in rows:
        pid = "dead" if row["pid"] is None else str(row["pid"])
        figures = _connections(row["figures"]) if row["name"] == GATEWAY else _counts(row["figures"])
        yield f"{row['name']:12}{pid:>9}{row['restarts']:>10}{figures}".rstrip()


def _warnings(rows: list[Row], now: float) -> Iterator[str]:
    """A line for each certificate that ends soon, or has ended."""
    found: dict[str, list[str]] = {}
    for row in rows:
        match row["figures"].get("keys"):
            case {"epoch": str(epoch), "certificate_ends": int(until)}:
                if text := warning_of(epoch, until * SECOND, int(now) * SECOND):
                    found.setdefault(text, []).append(row["name"])
    return (f"WARNING: {', '.join(names)}: {text}" for text, names in found.items())


def _apart(rows: list[Row]) -> Iterator[str]:
    """A line when replicas do not share one ledger, or were shown connections of replicas that have another one."""
    stores, refused = dict[str, list[str]](), 0
    for row in rows:
        match row["figures"].get("ledger"):
            case {"store": str(store), "refused_other": int(count)}:
                stores.setdefault(store, []).append(row["name"])
                refused += count
    if len(stores) > 1:
        told = "; ".join(f"{', '.join(names)}: {store}" for store, names in stores.items())
        yield f"WARNING: replicas have different ledgers ({told}): let all have one (--ledger)"
    if refused:
        here = ", ".join(stores)
        yield f"WARNING: {refused} unsafe requests refused: replicas of this fleet have another ledger than {here}"


def _counts(figures: dict[str, object]) -> str:
    told = (_whole(figures.get(each)) for each in _FIGURES)
    return "".join(f"{'' if each is None else each:>14}" for each in told)


def _connections(figures: dict[str, object]) -> str:
    """What a gateway has instead: its programs' connections, and how often replicas had to be left for others."""
    told = {name: value for name in _CONNECTIONS if (value := _whole(figures.get(name))) is not None}
    return "    " + ", ".join(f"{name} {value}" for name, value in told.items()) if told else ""


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
