"""How long does one small request take, directly over TCP and through the gateway?

One request at a time over loopback, on a connection kept alive and on a fresh one each. Servers take turns in short
blocks, so that a noisy moment falls on all. `added` is the median beyond the least an asyncio TCP server takes.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, running
from benchmarks.peers.http_servers import HELLO, NGINX_AUTO, UVICORN, UVICORN_H11
from benchmarks.peers.trickleweb_fleet import TRICKLEWEB
from benchmarks.support.http_client import fresh, kept_alive
from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.site import SMALL_TEXT, make_site
from benchmarks.support.statistics import percentile, rotated
from benchmarks.support.tables import number, table

SERVERS: Sequence[HttpServer] = (HELLO, NGINX_AUTO, UVICORN, UVICORN_H11, TRICKLEWEB)
WAYS = {"kept alive": kept_alive, "fresh": fresh}
BLOCK = 50
MICRO = 10**6

Samples = dict[tuple[str, str], list[float]]  # seconds, by way and server


def start(servers: Sequence[HttpServer], root: Path, cleanup: ExitStack, outcome: Outcome) -> list[Running]:
    """Start the servers that can run here."""
    up = []
    for server in servers:
        if (reason := server.missing()) is not None:
            outcome.skip(server.name, reason)
            continue
        try:
            up.append(cleanup.enter_context(running(server, root)))
        except ChildFailed as error:
            outcome.fail(f"latency: {error}")
    return up


def measure(requests: int, outcome: Outcome) -> Samples:
    """Blocks of requests to every server in turn, until each had `requests` in each way."""
    samples: Samples = {}
    with tempfile.TemporaryDirectory(prefix="bench-site-") as folder, ExitStack() as cleanup:
        make_site(Path(folder), 0)
        up = start(SERVERS, Path(folder), cleanup, outcome)
        for turn in range(-(-requests // BLOCK)):
            for server in rotated(up, turn):
                for way, ask in WAYS.items():
                    try:
                        seconds = ask(server.place.port, "small.txt", SMALL_TEXT, BLOCK)
                    except (OSError, ValueError) as error:
                        outcome.fail(f"latency: {server.server.name} {way}: {error}")
                        continue
                    samples.setdefault((way, server.server.name), []).extend(seconds)
    return samples


def summary(samples: Samples) -> list[dict[str, object]]:
    """One row per way and server, in microseconds."""
    rows: list[dict[str, object]] = []
    for way in WAYS:
        floor = percentile(samples[way, HELLO.name], 50) if (way, HELLO.name) in samples else None
        for server in SERVERS:
            if (seconds := samples.get((way, server.name))) is not None:
                p50, p99 = percentile(seconds, 50), percentile(seconds, 99)
                added = None if floor is None else (p50 - floor) * MICRO
                figures = {"p50": p50 * MICRO, "p99": p99 * MICRO, "added": added}
                rows.append({"way": way, "server": server.name, "requests": len(seconds), **figures})
    return rows


def show(rows: Sequence[dict[str, object]]) -> None:
    """Print the table."""
    cells = [
        [f"{row['way']:10} {row['server']}", *(number(as_float(row[name]), 0) for name in ("p50", "p99", "added"))]
        for row in rows
    ]
    print(table("One small request at a time, microseconds", ["connection, server", "p50", "p99", "added"], cells))


def as_float(value: object) -> float | None:
    """A figure of a row."""
    return value if isinstance(value, float) else None


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks latency", description=__doc__)
    options.add_argument("--requests", type=int, default=2000, help="requests to each server in each way")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every answer was right."""
    options, outcome = parser().parse_args(argv), Outcome()
    rows = summary(measure(options.requests, outcome))
    show(rows)
    outcome.figures["rows"] = rows
    save("latency", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
