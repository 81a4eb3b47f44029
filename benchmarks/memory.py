"""What does an idle connection cost in memory?

Resident memory of a server's processes before and after a number of connections were opened, each after one request,
and left idle. Or of any processes: `--pid PID --opener COMMAND ...`, where the command keeps the contract that
`benchmarks/peers/idle_tcp.py` describes.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.http_server import Groups, running
from benchmarks.peers.openers import IDLES, NATIVE_OPENER, Idle
from benchmarks.support import procfs
from benchmarks.support.limits import raise_file_limit
from benchmarks.support.processes import Child, ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.site import make_site
from benchmarks.support.tables import number, table

KIBI, MEBI = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Grown:
    """Memory of one group of processes in bytes, before and with the connections."""

    name: str
    group: str
    connections: int
    before_bytes: int
    after_bytes: int

    @property
    def per_connection_bytes(self) -> float:
        return (self.after_bytes - self.before_bytes) / self.connections


def resident(groups: Groups) -> dict[str, int]:
    """Resident bytes by group."""
    return {name: procfs.resident_bytes(pids) for name, pids in groups.items()}


def grow(name: str, groups: Groups, opener: Sequence[str], expected: int | None, timeout: float) -> list[Grown]:
    """Measure, open, measure again; ChildFailed if the opener fails or opens another number than expected."""
    before = resident(groups)
    with Child(opener) as child:
        opened = int(str(child.message(timeout)["connections"]))
        after = resident(groups)
    if opened < 1 or (expected is not None and opened != expected):
        raise ChildFailed(f"{name}: {opened} connections instead of {expected}")
    return [Grown(name, group, opened, before[group], after[group]) for group in groups]


def measure_one(idle: Idle, root: Path, options: argparse.Namespace) -> list[Grown]:
    """Start a server, warm it with a fifth of the connections, so that bounded caches are full, then measure."""
    connections = options.native if idle.opener == NATIVE_OPENER else options.connections
    with running(idle.server, root) as server:
        for command in (idle.argv(server.place, max(1, connections // 5)), *idle.before(server.place)):
            with Child(command) as warm:
                warm.message(options.timeout)
        argv = idle.argv(server.place, connections)
        return grow(idle.name, server.groups(), argv, connections, options.timeout)


def measure(options: argparse.Namespace, outcome: Outcome) -> list[Grown]:
    """All servers one after the other."""
    grown: list[Grown] = []
    with tempfile.TemporaryDirectory(prefix="bench-site-") as folder:
        make_site(Path(folder), 0)
        for idle in IDLES:
            if options.only and not any(word in idle.name for word in options.only):
                continue
            if (reason := idle.missing()) is not None:
                outcome.skip(idle.name, reason)
                continue
            try:
                grown += measure_one(idle, Path(folder), options)
            except ChildFailed as error:
                outcome.fail(f"memory: {error}")
    return grown


def show(grown: Sequence[Grown]) -> None:
    """Print the table."""
    headers = ["server, processes", "connections", "MiB before", "MiB with them", "KiB each"]
    cells = [
        [
            f"{each.name}: {each.group}",
            f"{each.connections:,}",
            number(each.before_bytes / MEBI, 1),
            number(each.after_bytes / MEBI, 1),
            number(each.per_connection_bytes / KIBI),
        ]
        for each in grown
    ]
    print(table("Memory of idle connections", headers, cells), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks memory", description=__doc__)
    options.add_argument("--connections", type=int, default=5000)
    options.add_argument(
        "--native", type=int, default=100_000, help="connections without a gateway: they need no files"
    )
    options.add_argument("--only", nargs="+", default=[], help="words of the servers to run, as: nginx")
    options.add_argument("--timeout", type=float, default=900.0, help="seconds that opening may take")
    options.add_argument("--pid", type=int, action="append", default=[], help="measure this process (repeatable)")
    options.add_argument("--opener", nargs=argparse.REMAINDER, help="with --pid: the command that opens; put it last")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every connection was opened."""
    options, outcome = parser().parse_args(argv), Outcome()
    if (most := raise_file_limit()) < options.connections:
        print(f"only {most:,} connections: the limit of open files allows no more")
        options.connections = most
    if options.pid and options.opener:
        grown = grow("processes", {str(pid): [pid] for pid in options.pid}, options.opener, None, options.timeout)
    else:
        grown = measure(options, outcome)
    show(grown)
    outcome.figures["grown"] = [{**asdict(each), "per_connection_bytes": each.per_connection_bytes} for each in grown]
    save("memory", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
