"""How many requests a second, how many bytes, at what cost of CPU? Static files, trickleweb beside its rivals.

A 13-byte file and one of 10 kB with 32 keep-alive connections and no pipelining (by wrk where it is installed), and one
large file by a single curl. All servers are up at once and take turns in every round. CPU is read from /proc over each
run, for gateway and replicas apart. Every answer's hash is checked once before anything is measured.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, start_all
from benchmarks.peers.http_servers import SERVERS, UVICORN
from benchmarks.support import curl, procfs
from benchmarks.support.load import run_load
from benchmarks.support.payload import Payload
from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.site import Site, make_site
from benchmarks.support.statistics import median, paired_ratio, rotated
from benchmarks.support.tables import number, table, times

MEGABYTE, GIGABYTE, MICRO = 10**6, 10**9, 10**6


@dataclass(frozen=True, slots=True)
class Run:
    """One load on one server: `rate` in requests or megabytes a second, `cost` in CPU microseconds per request or CPU
    seconds per gigabyte, by group of processes."""

    load: str
    server: str
    rate: float
    cost: dict[str, float]
    errors: int


@dataclass(slots=True)
class Meter:
    """CPU seconds used by each group of processes."""

    seconds: dict[str, float] = field(default_factory=dict)


@contextmanager
def cpu_of(server: Running) -> Iterator[Meter]:
    """Meter the CPU of a server's groups while the body runs."""
    groups, meter = server.groups(), Meter()
    before = {name: procfs.cpu_seconds(pids) for name, pids in groups.items()}
    yield meter
    meter.seconds = {name: procfs.cpu_seconds(pids) - before[name] for name, pids in groups.items()}


def check(server: Running, payload: Payload, timeout: float) -> None:
    """Fetch a file once; ChildFailed if its bytes are not right."""
    got = curl.download(server.url(payload.path.name), timeout)
    if got.sha256 != payload.sha256:
        raise ChildFailed(
            f"{server.server.name}: {payload.path.name} has a wrong hash after {got.size_bytes} bytes {got.complaint}"
        )


def requests_run(load: str, server: Running, payload: Payload, options: argparse.Namespace) -> Run:
    """Requests a second for one file."""
    with cpu_of(server) as meter:
        done = run_load(server.url(payload.path.name), options.connections, options.seconds)
    cost = {name: seconds / max(done.requests, 1) * MICRO for name, seconds in meter.seconds.items()}
    return Run(load, server.server.name, done.rate, cost, done.errors)


def bulk_run(server: Running, payload: Payload, timeout: float) -> Run:
    """Megabytes a second for one curl."""
    with cpu_of(server) as meter:
        status, size_bytes, seconds = curl.discard(server.url(payload.path.name), timeout)
    cost = {name: spent / payload.size_bytes * GIGABYTE for name, spent in meter.seconds.items()}
    wrong = status != 0 or size_bytes != payload.size_bytes
    return Run("bulk", server.server.name, size_bytes / MEGABYTE / seconds, cost, int(wrong))


def round_of(server: Running, site: Site, options: argparse.Namespace) -> list[Run]:
    """The three loads on one server."""
    return [
        requests_run("small", server, site.small, options),
        requests_run("middle", server, site.middle, options),
        bulk_run(server, site.bulk, options.timeout),
    ]


def start(
    servers: Sequence[HttpServer], site: Site, cleanup: ExitStack, outcome: Outcome, timeout: float
) -> list[Running]:
    """Start every server that can run here and answers rightly."""

    def right(server: Running) -> None:
        for payload in (site.small, site.middle, site.bulk):
            check(server, payload, timeout)

    return start_all(servers, site.root, cleanup, outcome, "http", right)


def measure(options: argparse.Namespace, outcome: Outcome) -> list[Run]:
    """All rounds over all servers."""
    runs: list[Run] = []
    wanted = [server for server in SERVERS if not options.only or any(word in server.name for word in options.only)]
    with tempfile.TemporaryDirectory(prefix="bench-site-") as folder, ExitStack() as cleanup:
        site = make_site(Path(folder), options.megabytes * MEGABYTE)
        up = start(wanted, site, cleanup, outcome, options.timeout)
        for turn in range(options.rounds):
            for server in rotated(up, turn):
                try:
                    fresh = round_of(server, site, options)
                except (subprocess.SubprocessError, ValueError) as error:
                    outcome.fail(f"http: {server.server.name}: {error}")
                    continue
                for run in fresh:
                    note(run, outcome)
                runs += fresh
    return runs


def note(run: Run, outcome: Outcome) -> None:
    """Print a run, and remember its errors."""
    print(f"{run.server:18} {run.load:7} {run.rate:10.1f}", flush=True)
    if run.errors:
        outcome.fail(f"http: {run.errors} errors from {run.server} under the load {run.load}")


def summary(runs: Sequence[Run]) -> list[dict[str, object]]:
    """One row per load and server, in the order of the table of servers."""
    rows: list[dict[str, object]] = []
    for load in ("small", "middle", "bulk"):
        reference = [run.rate for run in runs if (run.load, run.server) == (load, UVICORN.name)]
        for server in SERVERS:
            mine = [run for run in runs if (run.load, run.server) == (load, server.name)]
            if mine:
                rates = [run.rate for run in mine]
                cost = {group: median(run.cost.get(group, 0.0) for run in mine) for group in mine[0].cost}
                ratio = paired_ratio(rates, reference)
                rows.append(
                    {"load": load, "server": server.name, "rate": median(rates), "to_uvicorn": ratio, "cost": cost}
                )
    return rows


TITLES = {
    "small": ("13-byte file, keep-alive connections", "requests/s", "CPU us/request"),
    "middle": ("10 kB file, keep-alive connections", "requests/s", "CPU us/request"),
    "bulk": ("One large file by one curl", "MB/s", "CPU s/GB"),
}


def show(rows: Sequence[dict[str, object]]) -> None:
    """Print one table per load."""
    for load, (title, unit, cost_unit) in TITLES.items():
        cells = []
        for row in rows:
            rate, ratio, cost = row["rate"], row["to_uvicorn"], row["cost"]
            if row["load"] == load and isinstance(rate, float) and isinstance(cost, dict):
                shares = ", ".join(f"{group} {number(value)}" for group, value in cost.items())
                ratio_text = times(ratio if isinstance(ratio, float) else None)
                cells.append([str(row["server"]), number(rate, 1), ratio_text, number(sum(cost.values())), shares])
        print(table(title, ["server", unit, f"to {UVICORN.name}", cost_unit, "by processes"], cells), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks http_load", description=__doc__)
    options.add_argument("--seconds", type=float, default=5.0, help="how long each load of small requests lasts")
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--megabytes", type=int, default=500, help="size of the large file")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", nargs="+", default=[], help="words of the servers to run, as: nginx trickleweb")
    options.add_argument("--timeout", type=float, default=120.0, help="seconds one download may take")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every answer was complete and right."""
    options, outcome = parser().parse_args(argv), Outcome()
    runs = measure(options, outcome)
    rows = summary(runs)
    show(rows)
    outcome.figures["rows"] = rows
    outcome.figures["runs"] = [asdict(run) for run in runs]
    save("http_load", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
