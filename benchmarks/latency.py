"""How long does one small request take: directly over TCP, over Trickles, and through the gateway?

One request at a time over loopback, on a connection kept alive and on a fresh one each. Servers take turns in short
blocks, so that a noisy moment falls on all. What is added at p50 and p99 is beyond the least that an asyncio TCP server
takes; what the gateway adds by itself lies between `trickleweb native`, whose client speaks Trickles, and `trickleweb`.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, start_all
from benchmarks.peers.http_servers import HELLO, NGINX_AUTO, UVICORN, UVICORN_H11
from benchmarks.peers.trickleweb_fleet import TRICKLEWEB, run_dir
from benchmarks.support import net
from benchmarks.support.http_client import Connect, Connection, fresh, kept_alive
from benchmarks.support.native_client import Native
from benchmarks.support.results import Outcome, save
from benchmarks.support.site import SMALL_TEXT, make_site
from benchmarks.support.statistics import percentile, rotated
from benchmarks.support.tables import number, table

SERVERS: Sequence[HttpServer] = (HELLO, NGINX_AUTO, UVICORN, UVICORN_H11, TRICKLEWEB)
NATIVE = "trickleweb native"
NAMES = (*(server.name for server in SERVERS), NATIVE)
WAYS = {"kept alive": kept_alive, "fresh": fresh}
FIGURES = ("p50", "added at p50", "p99", "added at p99")
BLOCK = 50
MICRO = 10**6

Samples = dict[tuple[str, str], list[float]]  # seconds, by way and server


def clients(up: Sequence[Running], cleanup: ExitStack) -> list[tuple[str, Connect]]:
    """How to connect to each: over TCP, and to the replicas without their gateway."""
    connects: list[tuple[str, Connect]] = [
        (server.server.name, partial(Connection, server.place.port)) for server in up
    ]
    for server in up:
        if server.server is TRICKLEWEB:
            replica = (net.LOOPBACK, server.place.udp_port)
            native = cleanup.enter_context(Native([replica], run_dir(server.place) / "server.pub"))
            connects.append((NATIVE, native.connect))
    return connects


def measure(requests: int, outcome: Outcome) -> Samples:
    """Blocks of requests to every server in turn, until each had `requests` in each way."""
    samples: Samples = {}
    with tempfile.TemporaryDirectory(prefix="bench-site-") as folder, ExitStack() as cleanup:
        make_site(Path(folder), 0)
        connects = clients(start_all(SERVERS, Path(folder), cleanup, outcome, "latency"), cleanup)
        for turn in range(-(-requests // BLOCK)):
            for name, connect in rotated(connects, turn):
                for way, ask in WAYS.items():
                    try:
                        seconds = ask(connect, "small.txt", SMALL_TEXT, BLOCK)
                    except (OSError, ValueError) as error:
                        outcome.fail(f"latency: {name} {way}: {error}")
                        continue
                    samples.setdefault((way, name), []).extend(seconds)
    return samples


def summary(samples: Samples) -> list[dict[str, object]]:
    """One row per way and server, in microseconds."""
    rows: list[dict[str, object]] = []
    for way in WAYS:
        floor = samples.get((way, HELLO.name), [])
        for name in NAMES:
            if (seconds := samples.get((way, name))) is not None:
                figures: dict[str, float | None] = {}
                for percent in (50, 99):
                    here = percentile(seconds, percent) * MICRO
                    figures[f"p{percent}"] = here
                    figures[f"added at p{percent}"] = here - percentile(floor, percent) * MICRO if floor else None
                rows.append({"way": way, "server": name, "requests": len(seconds), **figures})
    return rows


def show(rows: Sequence[dict[str, object]]) -> None:
    """Print the table."""
    cells = [
        [f"{row['way']:10} {row['server']}", *(number(as_float(row[name]), 0) for name in FIGURES)] for row in rows
    ]
    print(table("One small request at a time, microseconds", ["connection, server", *FIGURES], cells))


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
