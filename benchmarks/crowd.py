"""Do a thousand downloads at once all come through?

So many clients connect at once, each asks for one file of 1 MB, and every hash is checked. Servers take turns, and one
process of asyncio is the crowd, so that it costs the same beside each of them.
"""

import argparse
import asyncio
import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.http_server import HttpServer, Running, running
from benchmarks.peers.http_servers import NGINX_AUTO, UVICORN
from benchmarks.peers.trickleweb_fleet import TRICKLEWEB
from benchmarks.support import net, procfs
from benchmarks.support.limits import raise_file_limit
from benchmarks.support.load import content_length
from benchmarks.support.payload import Payload
from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.site import make_site
from benchmarks.support.statistics import percentile
from benchmarks.support.tables import number, table

SERVERS: Sequence[HttpServer] = (NGINX_AUTO, UVICORN, TRICKLEWEB)
READ_BYTES = 1 << 16
MEGABYTE, MEBI = 10**6, 1 << 20


@dataclass(frozen=True, slots=True)
class Crowd:
    """What came of one crowd: `seconds` until the last was done, `slowest` and `median` of one download alone."""

    server: str
    clients: int
    complete: int
    seconds: float
    median: float
    slowest: float
    grown_bytes: int  # resident memory of the server's processes, after less before

    @property
    def rate(self) -> float:
        """Megabytes a second, all together."""
        return self.complete / self.seconds


async def download(port: int, name: str, sha256: str) -> float:
    """Seconds of one download on a connection of its own; OSError or ValueError when it is not the right one."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection(net.LOOPBACK, port, limit=READ_BYTES)
    try:
        writer.write(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, digest = await reader.readuntil(b"\r\n\r\n"), hashlib.sha256()
        missing_bytes = content_length(head)
        while missing_bytes and (data := await reader.read(min(READ_BYTES, missing_bytes))):
            digest.update(data)
            missing_bytes -= len(data)
    finally:
        writer.transport.abort()
    if digest.hexdigest() != sha256:
        raise ValueError(f"{missing_bytes} bytes are missing" if missing_bytes else "a wrong hash")
    return time.perf_counter() - began


async def crowd(server: Running, payload: Payload, clients: int, limit: float, outcome: Outcome) -> list[float]:
    """Seconds of each download that was right; what went wrong is noted."""
    port, name = server.place.port, payload.path.name
    asked = [asyncio.wait_for(download(port, name, payload.sha256), limit) for _ in range(clients)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    for error in {repr(each) for each in results if isinstance(each, BaseException)}:
        outcome.fail(f"crowd: {server.server.name}: {error}")
    return [each for each in results if isinstance(each, float)]


def measure_one(server: HttpServer, payload: Payload, options: argparse.Namespace, outcome: Outcome) -> Crowd:
    """A warm-up by ten clients, then the crowd."""
    with running(server, payload.path.parent) as up:
        asyncio.run(crowd(up, payload, 10, options.timeout, outcome))
        before = resident(up)
        began = time.perf_counter()
        seconds = asyncio.run(crowd(up, payload, options.clients, options.timeout, outcome))
        elapsed = time.perf_counter() - began
        worst = max(seconds, default=0.0)
        middle = percentile(seconds, 50) if seconds else 0.0
        return Crowd(server.name, options.clients, len(seconds), elapsed, middle, worst, resident(up) - before)


def resident(server: Running) -> int:
    """Resident bytes of all its processes."""
    return sum(procfs.resident_bytes(pids) for pids in server.groups().values())


def measure(options: argparse.Namespace, outcome: Outcome) -> list[Crowd]:
    """All servers, one after the other."""
    crowds: list[Crowd] = []
    with tempfile.TemporaryDirectory(prefix="bench-site-") as folder:
        payload = make_site(Path(folder), MEGABYTE).bulk
        for server in SERVERS:
            if (reason := server.missing()) is not None:
                outcome.skip(server.name, reason)
                continue
            try:
                crowds.append(measure_one(server, payload, options, outcome))
            except ChildFailed as error:
                outcome.fail(f"crowd: {error}")
    return crowds


def show(crowds: Sequence[Crowd]) -> None:
    """Print the table."""
    headers = ["server", "clients", "complete", "MB/s", "seconds in all", "median", "slowest", "MiB grown"]
    cells = [
        [
            each.server,
            f"{each.clients:,}",
            f"{each.complete:,}",
            number(each.rate, 0),
            *(number(value) for value in (each.seconds, each.median, each.slowest)),
            number(each.grown_bytes / MEBI, 1),
        ]
        for each in crowds
    ]
    print(table("Downloads of 1 MB, all at once", headers, cells), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks crowd", description=__doc__)
    options.add_argument("--clients", type=int, default=1000)
    options.add_argument("--timeout", type=float, default=120.0, help="seconds that one download may take")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every download was right."""
    options, outcome = parser().parse_args(argv), Outcome()
    options.clients = min(options.clients, raise_file_limit())
    crowds = measure(options, outcome)
    show(crowds)
    outcome.figures["crowds"] = [asdict(each) for each in crowds]
    save("crowd", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
