"""How soon are the death of a replica at work, and clients that leave, noticed? ASGI and WSGI programs behind curl.

- A GET takes a second of work; its replica is killed 0.3 s after it began: how long until another one begins?
- The same six times in a row: when is it answered?
- A client leaves a stream: when does its program get the disconnect? Also without a goodbye: the gateway is killed.
- A hundred clients leave streams of a WSGI program that keep all threads: when is the next request answered?
"""

import argparse
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, running
from benchmarks.peers.programs import EFFECTS, effects
from benchmarks.peers.trickleweb_fleet import fleet_groups, pids_in, run_argv, trickleweb_missing
from benchmarks.support import net, procfs
from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import percentile
from benchmarks.support.tables import number, table

PROGRAM = "benchmarks.peers.leaving_app"
ASYNC = HttpServer("ASGI", run_argv(f"{PROGRAM}:app"), trickleweb_missing, fleet_groups, effects)
THREADED = HttpServer("WSGI", run_argv(f"{PROGRAM}:threaded", "--wsgi"), trickleweb_missing, fleet_groups, effects)
KILL_AFTER_SECONDS = 0.3  # after a run has begun
IN_A_ROW = 6
PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.002
BARS = {"killed": 0.6, "six in a row": 1 + IN_A_ROW * 0.7, "goodbye": 1.0, "no goodbye": 15.0, "100 leave WSGI": 1.5}
assert EFFECTS == "BENCH_EFFECTS"  # the program reads it without importing this package


class Notes:
    """Lines that the program has written: event, pid, moment."""

    def __init__(self, server: Running) -> None:
        self._path = server.place.work / "effects"

    def read(self, what: str) -> list[tuple[int, float]]:
        """The pid and moment of each such event so far."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        words = [line.split() for line in lines]
        return [(int(each[1]), float(each[2])) for each in words if len(each) == 3 and each[0] == what]

    def next(self, what: str, known: int) -> tuple[int, float]:
        """The event after `known` of its kind; ChildFailed if it does not come."""
        until = time.monotonic() + PATIENCE_SECONDS
        while len(found := self.read(what)) <= known:
            if time.monotonic() > until:
                raise ChildFailed(f"no further event: {what}")
            time.sleep(POLL_SECONDS)
        return found[known]


def killed(server: Running, kills: int) -> tuple[list[float], float]:
    """Kill the replica at work so often during one GET; the seconds until each next run, and to the answer."""
    notes, delays = Notes(server), []
    known = len(notes.read("begun"))
    started = time.monotonic()
    with subprocess.Popen(["curl", "-sS", "-m", "60", server.url("slow")], stdout=subprocess.PIPE) as curl:
        for _ in range(kills):
            pid, _ = notes.next("begun", known)
            known += 1
            time.sleep(KILL_AFTER_SECONDS)
            if pid not in procfs.descendants(server.child.pid):  # never another's process
                raise ChildFailed("the program ran in an unknown process")
            os.kill(pid, signal.SIGKILL)
            moment = time.monotonic()
            delays.append(notes.next("begun", known)[1] - moment)
        answer, _ = curl.communicate(timeout=PATIENCE_SECONDS)
    if answer != b"done":
        raise ChildFailed(f"curl got {answer!r}")
    return delays, time.monotonic() - started


def opened(server: Running) -> socket.socket:
    """A client of the stream that has its first tick."""
    client = socket.create_connection((net.LOOPBACK, server.place.port), PATIENCE_SECONDS)
    client.sendall(b"GET /ticks HTTP/1.1\r\nHost: bench\r\n\r\n")
    data = b""
    while b"tick" not in data:
        if not (piece := client.recv(4096)):
            raise ChildFailed("the stream ended")
        data += piece
    return client


def left(server: Running) -> float:
    """Close a client in the middle of a stream; the seconds until its program knows."""
    notes, client = Notes(server), opened(server)
    known, moment = len(notes.read("left")), time.monotonic()
    client.close()
    return notes.next("left", known)[1] - moment


def left_without_goodbye(server: Running) -> float:
    """Kill the gateway of a client; the seconds until the program knows."""
    notes, client = Notes(server), opened(server)
    (gateway,) = pids_in(server.place, "gateway.pid")
    known, moment = len(notes.read("left")), time.monotonic()
    os.kill(gateway, signal.SIGKILL)
    try:
        return notes.next("left", known)[1] - moment
    finally:
        client.close()


def threads_left(server: Running, count: int) -> float:
    """Let so many clients open slow streams of threads and leave; the seconds until another one is answered."""
    clients = [socket.create_connection((net.LOOPBACK, server.place.port)) for _ in range(count)]
    for client in clients:
        client.sendall(b"GET /ticks HTTP/1.1\r\nHost: bench\r\n\r\n")
    time.sleep(3)
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    started = time.monotonic()
    subprocess.run(["curl", "-sS", "-m", "60", "-o", os.devnull, server.url("other")], check=True)
    return time.monotonic() - started


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """All figures in seconds, by the names of their bars; ChildFailed."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-leaving-") as folder:
        with running(ASYNC, Path(folder)) as server:
            time.sleep(1)  # all replicas are ready
            found["killed"] = [killed(server, 1)[0][0] for _ in range(options.kills)]
            time.sleep(1)
            found["six in a row"] = [killed(server, IN_A_ROW)[1] for _ in range(options.rows)]
            found["goodbye"] = [left(server) for _ in range(options.clients)]
            found["no goodbye"] = [left_without_goodbye(server)]
        with running(THREADED, Path(folder)) as server:
            time.sleep(1)
            found["100 leave WSGI"] = [threads_left(server, 100)]
    return found


def show(found: dict[str, list[float]]) -> list[dict[str, object]]:
    """Print one row for each question; its rows."""
    rows: list[dict[str, object]] = []
    for name, seconds in found.items():
        row = {"of": name, "count": len(seconds), "p50": percentile(seconds, 50), "p99": percentile(seconds, 99)}
        rows.append(row | {"worst": max(seconds), "bar": BARS[name]})
    figures = ("p50", "p99", "worst", "bar")
    cells = [
        [str(row["of"]), str(row["count"]), *(number(float(str(row[each])), 3) for each in figures)] for row in rows
    ]
    print(table("Seconds until it is noticed", ["what", "count", "p50", "p99", "worst", "bar"], cells), flush=True)
    return rows


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks leaving", description=__doc__)
    options.add_argument("--kills", type=int, default=100, help="GETs whose replica is killed once")
    options.add_argument("--rows", type=int, default=3, help="GETs whose replica is killed six times in a row")
    options.add_argument("--clients", type=int, default=100, help="clients that leave a stream one after another")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every run ended as it should."""
    options, outcome = parser().parse_args(argv), Outcome()
    if (reason := trickleweb_missing()) is not None:
        outcome.skip("leaving", reason)
    else:
        try:
            found = measure(options)
            outcome.figures["rows"], outcome.figures["seconds"] = show(found), found
        except (ChildFailed, subprocess.SubprocessError) as error:
            outcome.fail(f"leaving: {error}")
    save("leaving", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
