"""Show the processes of a fleet that `trickleweb serve` started: pids, restarts, and what was done since its start.

Figures are those of a process and of all before it of the same name: they outlive it, but for what it counted in its
last quarter of a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict

from trickles.command import CommandFailed, Parser, seconds
from trickles.drivers.keystore.validity import warning_of
from trickles.limits import SECOND
from trickleweb.cli.rundir import DEFAULT, FLEET, GATEWAY, RunDir, is_alive, replica_name

COUNTED = (
    *("packets_in", "packets_out", "bytes_out", "requests", "refusals"),  # by a replica
    *("accepted", "completed", "failed", "reset", "failovers", "bytes_in"),  # by a gateway, with bytes_out
)
_MOST = 1 << 63
Figures = Mapping[str, object]


class Totals:
    """By name; `look` takes what processes tell now, `dead` is what those had counted that do not tell any more.

    What a process counted after it told for the last time is lost with it.
    """

    def __init__(self) -> None:
        self._last: dict[str, Figures] = {}
        self._dead: dict[str, Counter[str]] = {}

    def look(self, name: str, figures: Figures) -> None:
        """Take the figures of the process of that name; those of another pid than before are a successor's."""
        if not isinstance(figures.get("pid"), int):
            return
        before = self._last.get(name)
        if before is not None and before["pid"] != figures["pid"]:
            self._dead.setdefault(name, Counter()).update(counted(before))
        self._last[name] = figures

    def dead(self) -> dict[str, dict[str, int]]:
        """What the predecessors of each have counted."""
        return {name: dict(counts) for name, counts in self._dead.items()}


def counted(figures: Figures) -> dict[str, int]:
    """The figures that add up: numbers that can be counts, whoever wrote them."""
    return {name: value for name in COUNTED if isinstance(value := figures.get(name), int) and 0 <= value < _MOST}


def total(dead: object, figures: Figures) -> dict[str, int]:
    """What a process and its predecessors have counted; `dead` as `Totals.dead` has it for that name."""
    together = Counter(counted(figures))
    together.update(counted(dead) if isinstance(dead, dict) else {})
    return dict(together)


_FIGURES = ("packets_in", "packets_out", "bytes_out", "requests", "refusals")
_CONNECTIONS = ("live", "accepted", "completed", "failed", "reset", "failovers")
_CLEAR = "\x1b[H\x1b[J"
_MEGABYTE = 10**6


class Row(TypedDict):
    """One process: its pid (None while it is dead), restarts, what it told, and that with all before it."""

    name: str
    pid: int | None
    restarts: int
    figures: dict[str, object]
    totals: dict[str, int]


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--run-dir", metavar="DIR", type=Path, default=Path(DEFAULT), help="as of serve (default: .run)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with all that the processes tell")
    parser.add_argument("--watch", metavar="SECONDS", type=seconds, nargs="?", const=1.0, help=_WATCH)


_WATCH = "show it again every so often (default: 1), until it is interrupted or the fleet has ended"


def run(args: argparse.Namespace) -> int:
    """Print what the files under the run directory say; `CommandFailed` if no fleet runs there."""
    run_dir = RunDir(args.run_dir)
    shown = list(_lines(run_dir, as_json=args.json))
    while True:
        clear = _CLEAR if args.watch and sys.stdout.isatty() else ""
        print(clear + "\n".join(shown), flush=True)
        if not args.watch:
            return 0
        time.sleep(args.watch)
        try:
            shown = list(_lines(run_dir, as_json=args.json))
        except CommandFailed:
            print("the fleet has ended")
            return 0


def _lines(run_dir: RunDir, *, as_json: bool) -> Iterator[str]:
    run_dir.check()
    fleet = run_dir.figures(FLEET)
    if not is_alive(fleet.get("pid")):
        raise CommandFailed(f"no fleet runs under {run_dir.path}")
    rows = list(_rows(run_dir, fleet))
    if as_json:
        yield json.dumps({**fleet, "processes": rows}, indent=2)
        return
    yield f"{fleet.get('url') or 'no gateway'}, up {since(fleet.get('started'))}"
    yield from _table(rows)
    yield from _warnings(rows, time.time())
    yield from _apart(rows)


def _rows(run_dir: RunDir, fleet: dict[str, object]) -> Iterator[Row]:
    udp, restarts, dead = fleet.get("udp"), fleet.get("restarts"), fleet.get("dead")
    replicas = [replica_name(index) for index in range(len(udp) if isinstance(udp, list) else 0)]
    for name in [*replicas, *([GATEWAY] if fleet.get("url") else [])]:
        pid, figures = run_dir.pid(name), run_dir.figures(name)
        begun = _whole(restarts.get(name)) if isinstance(restarts, dict) else None
        before = dead.get(name) if isinstance(dead, dict) else None
        totals = total(before, figures)
        yield Row(name=name, pid=pid if is_alive(pid) else None, restarts=begun or 0, figures=figures, totals=totals)


def _table(rows: list[Row]) -> Iterator[str]:
    heads = "".join(f"{each.replace('_', ' ').replace('bytes', 'MB'):>13}" for each in _FIGURES)
    yield f"{'process':12}{'pid':>9}{'up':>9}{'restarts':>10}{heads}"
    for row in rows:
        pid = "dead" if row["pid"] is None else str(row["pid"])
        up = "" if row["pid"] is None else since(row["figures"].get("started"))
        told = _connections(row) if row["name"] == GATEWAY else _counts(row["totals"])
        yield f"{row['name']:12}{pid:>9}{up:>9}{row['restarts']:>10}{told}".rstrip()
    replicas = [row for row in rows if row["name"] != GATEWAY]
    if len(replicas) > 1:
        together = Counter[str]()
        for row in replicas:
            together.update(row["totals"])
        yield f"{'replicas':30}{sum(row['restarts'] for row in replicas):>10}{_counts(together)}"


def _warnings(rows: list[Row], now: float) -> Iterator[str]:
    """A line for each certificate that ends soon, has ended, or begins later."""
    found: dict[str, list[str]] = {}
    for row in rows:
        match row["figures"].get("keys"):
            case {"epoch": str(epoch), "certificate_begins": int(begins), "certificate_ends": int(until)}:
                if text := warning_of(epoch, begins * SECOND, until * SECOND, int(now) * SECOND):
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


def _counts(figures: dict[str, int]) -> str:
    return "".join(f"{_shown(name, figures.get(name)):>13}" for name in _FIGURES)


def _shown(name: str, value: int | None) -> str:
    if value is None:
        return ""
    return f"{value / _MEGABYTE:.1f}" if name.startswith("bytes") else str(value)


def _connections(row: Row) -> str:
    """What a gateway has instead: its programs' connections, and how often replicas had to be left for others."""
    known = {**row["totals"], "live": _whole(row["figures"].get("live"))}
    told = {name: value for name in _CONNECTIONS if (value := known.get(name)) is not None}
    return "    " + ", ".join(f"{name} {value}" for name, value in told.items()) if told else ""


def since(started: object) -> str:
    """How long ago that was, in the largest unit that says enough: `41 s`, `12 min`, `30 h`, `9 d`; "" if unknown."""
    begun = _whole(started)
    if begun is None:
        return ""
    age = max(int(time.time()) - begun, 0)
    for unit, length in (("s", 1), ("min", 60), ("h", 3600)):
        if age < 100 * length:
            return f"{age // length} {unit}"
    return f"{age // 86_400} d"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
