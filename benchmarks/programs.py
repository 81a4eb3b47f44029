"""How many requests a second does a program answer, and how do uploads fare while replicas are killed?

A greeting and some JSON with 32 keep-alive connections, the same Starlette program on every server, and trickleweb's
own App; over Trickles itself too, one request after the other, without the gateway. Then one large file by `curl -T`,
with its length and chunked, to a handler that hashes it as it comes: trickleweb undisturbed, trickleweb with a random
replica killed every half second (hash right, effect once), uvicorn undisturbed.
"""

import argparse
import hashlib
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.http_load import Run, cpu_of
from benchmarks.peers.http_server import Running, start_all
from benchmarks.peers.programs import SERVERS, TRICKLEWEB_APP, TRICKLEWEB_STARLETTE, UVICORN
from benchmarks.peers.trickleweb_fleet import run_dir
from benchmarks.support import net
from benchmarks.support.killer import killing
from benchmarks.support.load import run_load
from benchmarks.support.native_client import Native
from benchmarks.support.payload import make_payload
from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import median, paired_ratio, rotated
from benchmarks.support.tables import number, table, times

MEGABYTE, MICRO = 10**6, 10**6
PATHS = {"hello": "/hello", "JSON": "/json"}
FRAMINGS = {"length": (), "chunked": ("--header", "Transfer-Encoding: chunked")}
NATIVE = "trickleweb native"


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload: `runs` counts how often the handler came to its end."""

    server: str
    framing: str
    kills: int
    rate: float  # megabytes a second
    right: bool
    runs: int


def requests_run(load: str, server: Running, options: argparse.Namespace) -> Run:
    """Requests a second for one path."""
    with cpu_of(server) as meter:
        done = run_load(server.url(PATHS[load].lstrip("/")), options.connections, options.seconds)
    cost = {name: seconds / max(done.requests, 1) * MICRO for name, seconds in meter.seconds.items()}
    return Run(load, server.server.name, done.rate, cost, done.errors)


def native_run(load: str, server: Running, seconds: float) -> Run:
    """Requests a second over Trickles, on one connection, one after the other."""
    count, until = 0, time.monotonic() + seconds
    with Native([(net.LOOPBACK, server.place.udp_port)], run_dir(server.place) / "server.pub") as native:
        connection = native.connect()
        while time.monotonic() < until:
            connection.get(PATHS[load])
            count += 1
    return Run(load, NATIVE, count / seconds, {}, 0)


def uploaded(server: Running, file: Path, framing: str, options: argparse.Namespace, *, kill: bool) -> Upload:
    """One upload by curl; its answer tells the hash."""
    effects = server.place.work / "effects"
    effects.unlink(missing_ok=True)
    url = server.url("upload")
    words = ["curl", "-sS", "-m", str(options.timeout), "-T", str(file), *FRAMINGS[framing], url]
    with killing(server.live_replicas, options.interval, options.seed, kill=kill) as killer:
        started = time.monotonic()
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=options.timeout + 10)
        seconds = time.monotonic() - started
    wanted = f"{file.stat().st_size} {hashlib.sha256(file.read_bytes()).hexdigest()}"
    runs = len(effects.read_text().splitlines()) if effects.exists() else 0
    right = done.returncode == 0 and done.stdout.strip() == wanted
    rate = file.stat().st_size / MEGABYTE / seconds
    return Upload(server.server.name, framing, len(killer.kills), rate, right, runs)


def measure_requests(up: Sequence[Running], options: argparse.Namespace, outcome: Outcome) -> list[Run]:
    """All rounds over all servers."""
    runs: list[Run] = []
    for turn in range(options.rounds):
        for server in rotated(up, turn):
            runs += [requests_run(load, server, options) for load in PATHS]
            if server.server is TRICKLEWEB_APP:
                runs += [native_run(load, server, options.seconds) for load in PATHS]
    for run in runs:
        if run.errors:
            outcome.fail(f"programs: {run.errors} errors from {run.server} under the load {run.load}")
    return runs


def measure_uploads(up: Sequence[Running], file: Path, options: argparse.Namespace, outcome: Outcome) -> list[Upload]:
    """One of each framing undisturbed, several under kills."""
    uploads: list[Upload] = []
    for server in up:
        if server.server in (UVICORN, TRICKLEWEB_STARLETTE):
            uploads += [uploaded(server, file, framing, options, kill=False) for framing in FRAMINGS]
    for server in up:
        for _ in range(options.uploads if server.server is TRICKLEWEB_STARLETTE else 0):
            uploads += [uploaded(server, file, framing, options, kill=True) for framing in FRAMINGS]
    for each in uploads:
        if not each.right or each.runs != 1:
            outcome.fail(f"programs: upload to {each.server} ({each.framing}): right {each.right}, runs {each.runs}")
    return uploads


def measure(options: argparse.Namespace, outcome: Outcome) -> tuple[list[Run], list[Upload]]:
    """Requests, then uploads."""
    with tempfile.TemporaryDirectory(prefix="bench-programs-") as folder, ExitStack() as cleanup:
        up = start_all(SERVERS, Path(folder), cleanup, outcome, "programs")
        file = make_payload(Path(folder) / "upload", options.megabytes * MEGABYTE).path
        return measure_requests(up, options, outcome), measure_uploads(up, file, options, outcome)


def show_runs(runs: Sequence[Run]) -> list[dict[str, object]]:
    """Print a table for each load; its rows."""
    rows: list[dict[str, object]] = []
    for load in PATHS:
        reference = [run.rate for run in runs if (run.load, run.server) == (load, UVICORN.name)]
        cells = []
        for name in dict.fromkeys(run.server for run in runs):
            mine = [run for run in runs if (run.load, run.server) == (load, name)]
            rate, ratio = median(run.rate for run in mine), paired_ratio([run.rate for run in mine], reference)
            cost = {group: median(run.cost.get(group, 0.0) for run in mine) for group in mine[0].cost}
            shares = ", ".join(f"{group} {number(value)}" for group, value in cost.items())
            cells.append([name, number(rate, 1), times(ratio), number(sum(cost.values())), shares])
            rows.append({"load": load, "server": name, "rate": rate, "to_uvicorn": ratio, "cost": cost})
        print(table(f"{load}, keep-alive connections", HEADS, cells), flush=True)
    return rows


RIGHT = {True: "yes", False: "NO"}
HEADS = ["server", "requests/s", f"to {UVICORN.name}", "CPU us/request", "by processes"]


def show_uploads(uploads: Sequence[Upload]) -> None:
    """Print one row for each upload."""
    cells = [
        [
            each.server,
            each.framing,
            str(each.kills),
            number(each.rate, 1),
            "yes" if each.right else "NO",
            str(each.runs),
        ]
        for each in uploads
    ]
    heads = ["server", "framing", "replicas killed", "MB/s", "hash right", "effects"]
    print(table("One upload by curl -T to a handler that streams", heads, cells), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks programs", description=__doc__)
    options.add_argument("--seconds", type=float, default=4.0, help="how long each load lasts")
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--megabytes", type=int, default=300, help="size of an upload")
    options.add_argument("--uploads", type=int, default=3, help="uploads of each framing under kills")
    options.add_argument("--interval", type=float, default=0.5, help="seconds between two kills")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--timeout", type=float, default=120.0, help="seconds one upload may take")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every answer was right."""
    options, outcome = parser().parse_args(argv), Outcome()
    runs, uploads = measure(options, outcome)
    outcome.figures["rows"] = show_runs(runs)
    show_uploads(uploads)
    outcome.figures["runs"] = [asdict(run) for run in runs]
    outcome.figures["uploads"] = [asdict(each) for each in uploads]
    save("programs", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
