"""Show the processes of a fleet that `trickleweb serve` started: pids, restarts, and counts since its start.

Counts are those of a process and of its predecessors of the same name, except a killed process's last quarter of a
second.
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
    """Counts by name; `look` takes the figures of running processes, `dead` has the counts of their predecessors.

    Counts after a process's last report are lost with it.
    """

    def __init__(self) -> None:
        self._last: dict[str, Figures] = {}
        self._dead: dict[str, Counter[str]] = {}

    def look(self, name: str, figures: Figures) -> None:
        """Take the figures of the process of that name; another pid means that a successor reports."""
        if not isinstance(figures.get("pid"), int):
            return
        before = self._last.get(name)
        if before is not None and before["pid"] != figures["pid"]:
            self._dead.setdefault(name, Counter()).update(counted(before))
        self._last[name] = figures

    def dead(self) -> dict[str, dict[str, int]]:
        return {name: dict(counts) for name, counts in self._dead.items()}


def counted(figures: Figures) -> dict[str, int]:
    """Return the figures that add up: those that are valid counts."""
    return {name: value for name in COUNTED if isinstance(value := figures.get(name), int) and 0 <= value < _MOST}


def total(dead: object, figures: Figures) -> dict[str, int]:
    """Return the counts of a process and its predecessors; `dead` is from `Totals.dead` for that name."""
    together = Counter(counted(figures))
    together.update(counted(dead) if isinstance(dead, dict) else {})
    return dict(together)


_FIGURES = ("packets_in", "packets_out", "bytes_out", "requests", "refusals")
_CONNECTIONS = ("live", "accepted", "completed", "failed", "reset", "failovers")
_CLEAR = "\x1b[H\x1b[J"
_MEGABYTE = 10**6


class Row(TypedDict):
    """One process: its pid (None while dead), restarts, figures, and the totals with its predecessors."""

    name: str
    pid: int | None
    restarts: int
    figures: dict[str, object]
    totals: dict[str, int]


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--run-dir", metavar="DIR", type=Path, default=Path(DEFAULT), help="run directory of the fleet (default: .run)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with all figures of the processes")
    parser.add_argument("--watch", metavar="SECONDS", type=seconds, nargs="?", const=1.0, help=_WATCH)


_WATCH = "repeat after this time (default: 1), until interrupted or the fleet has ended"


def run(args: argparse.Namespace) -> int:
    """Print the state in the run directory; raise `CommandFailed` if no fleet runs there."""
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
    yield from _epochs(rows, time.time())
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
        counts = _connections(row) if row["name"] == GATEWAY else _counts(row["totals"])
        yield f"{row['name']:12}{pid:>9}{up:>9}{row['restarts']:>10}{counts}".rstrip()
    replicas = [row for row in rows if row["name"] != GATEWAY]
    if len(replicas) > 1:
        together = Counter[str]()
        for row in replicas:
            together.update(row["totals"])
        yield f"{'replicas':30}{sum(row['restarts'] for row in replicas):>10}{_counts(together)}"


def _warnings(rows: list[Row], now: float) -> Iterator[str]:
    """Yield a line for each certificate that ends soon, has ended, or begins later."""
    found: dict[str, list[str]] = {}
    for row in rows:
        match row["figures"].get("keys"):
            case {"epoch": str(epoch), "certificate_begins": int(begins), "certificate_ends": int(until)}:
                if text := warning_of(epoch, begins * SECOND, until * SECOND, int(now) * SECOND):
                    found.setdefault(text, []).append(row["name"])
    return (f"WARNING: {', '.join(names)}: {text}" for text, names in found.items())


def _epochs(rows: list[Row], now: float) -> Iterator[str]:
    """Yield a line about the newest epoch; a warning with the replicas of each where they differ."""
    found: dict[tuple[str, int, int], list[str]] = {}
    for row in rows:
        match row["figures"].get("keys"):
            case {"newest": str(newest), "newest_begins": int(begins), "epochs": int(count)} if row["pid"] is not None:
                found.setdefault((newest, begins, count), []).append(row["name"])
    texts = {key: f"{key[0]} ({_age(key[1], now)}) of {key[2]}" for key in found}
    if len(found) == 1:
        yield f"keys: the newest epoch is {next(iter(texts.values()))}"
    elif found:
        shown = "; ".join(f"{', '.join(names)}: {texts[key]}" for key, names in found.items())
        yield f"WARNING: replicas have different newest epochs ({shown}): give all the same keys"


def _age(begins: int, now: float) -> str:
    return f"in force for {since(begins)}" if begins <= now else f"in force in {begins - int(now)} s"


def _apart(rows: list[Row]) -> Iterator[str]:
    """Yield a line when replicas have different ledgers, or refused connections of replicas with another one."""
    stores, refused = dict[str, list[str]](), 0
    for row in rows:
        match row["figures"].get("ledger"):
            case {"store": str(store), "refused_other": int(count)}:
                stores.setdefault(store, []).append(row["name"])
                refused += count
    if len(stores) > 1:
        shown = "; ".join(f"{', '.join(names)}: {store}" for store, names in stores.items())
        yield f"WARNING: replicas have different ledgers ({shown}): give all the same --ledger"
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
    """Return a gateway's columns: its connections, and the failovers between replicas."""
    known = {**row["totals"], "live": _whole(row["figures"].get("live"))}
    counts = {name: value for name in _CONNECTIONS if (value := known.get(name)) is not None}
    return "    " + ", ".join(f"{name} {value}" for name, value in counts.items()) if counts else ""


def since(started: object) -> str:
    """Return the age in the largest unit of two digits or more: `41 s`, `12 min`, `30 h`, `9 d`; "" if unknown."""
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
