"""How soon is a large new tree served, and what does it cost downloads when it is linked elsewhere meanwhile?

A tree of many small files and one large sparse one, of which no hash is known. The first byte of each kind is waited
for as soon as the server listens. Then some clients download ranges of the large file, slowly, for a while; then
`cp -al` links every file of the tree. The longest that any of them waits for its next bytes is the stall.
"""

import argparse
import http.client
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Self

from benchmarks.peers.http_server import HttpServer, Running, running
from benchmarks.peers.http_servers import NGINX_AUTO
from benchmarks.peers.trickleweb_fleet import TRICKLEWEB, serve_argv
from benchmarks.support import net
from benchmarks.support.processes import ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.tables import number, table

LISTING = replace(TRICKLEWEB, argv=serve_argv("--listing"))
SERVERS: Sequence[HttpServer] = (NGINX_AUTO, LISTING)
FOLDER_FILES = 1000
LARGE = "large.iso"
BLOCK_BYTES = 16_384
PAUSE_SECONDS = 0.05  # 330 kB/s for each client: what is measured is waiting, not throughput
WARM_SECONDS = 2.0  # downloads run for so long before the tree is linked, and after it
SMALL_REQUESTS = 100
FIGURES = ("large file", "small file", "folder of 1,000", "worst of 100 small", "stall", "stall while linked")


def make_tree(root: Path, files: int, large_bytes: int) -> None:
    """Folders of a thousand small files, and the large file."""
    for number_ in range(files):
        folder = root / f"d{number_ // FOLDER_FILES}"
        if number_ % FOLDER_FILES == 0:
            folder.mkdir(parents=True)
        (folder / f"f{number_ % FOLDER_FILES}.txt").write_bytes(b"%d\n" % number_ * 30)
    with (root / LARGE).open("wb") as large:
        large.truncate(large_bytes)


def first_byte(server: Running, path: str) -> float:
    """Milliseconds until the first byte of a body, on a connection of its own; OSError for another status than 200."""
    connection = http.client.HTTPConnection(net.LOOPBACK, server.place.port, timeout=60)
    began = time.perf_counter()
    try:
        connection.request("GET", "/" + path)
        response = connection.getresponse()
        response.read(1)
        if response.status != 200:
            raise OSError(f"{path}: {response.status}")
        return (time.perf_counter() - began) * 1000
    finally:
        connection.close()


class Downloads:
    """Clients that read ranges of the large file slowly, and note how long each waited for its next bytes."""

    def __init__(self, server: Running, clients: int, large_bytes: int) -> None:
        self.stall = 0.0
        self.errors: list[str] = []
        self._server, self._large_bytes = server, large_bytes
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._download, args=(Random(at),)) for at in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _download(self, random: Random) -> None:
        connection = http.client.HTTPConnection(net.LOOPBACK, self._server.place.port, timeout=60)
        try:
            start = random.randrange(self._large_bytes // 2)
            connection.request("GET", "/" + LARGE, headers={"Range": f"bytes={start}-"})
            response = connection.getresponse()
            while not self._over.is_set():
                began = time.perf_counter()
                data = response.read(BLOCK_BYTES)
                self.stall = max(self.stall, time.perf_counter() - began)
                if not data or any(data):
                    raise OSError(f"{len(data)} bytes, not all of them the file's")
                time.sleep(PAUSE_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            self.errors.append(str(error))
        finally:
            connection.close()


def stalls(server: Running, clients: int, large_bytes: int, outcome: Outcome) -> tuple[float, float]:
    """The longest stall, in milliseconds, before `cp -al` links the tree, and from then on."""
    copy = server.place.root.with_name("copy")
    with Downloads(server, clients, large_bytes) as downloads:
        time.sleep(WARM_SECONDS)
        before, downloads.stall = downloads.stall * 1000, 0.0
        subprocess.run(["cp", "-al", str(server.place.root), str(copy)], check=True)
        time.sleep(WARM_SECONDS)
        meanwhile = downloads.stall * 1000
    rmtree(copy)
    for error in downloads.errors:
        outcome.fail(f"trees: {server.server.name}: {error}")
    return before, meanwhile


def measure(server: HttpServer, root: Path, options: argparse.Namespace, outcome: Outcome) -> dict[str, float | None]:
    """All figures of one server, in milliseconds."""
    with running(server, root) as up:
        figures: dict[str, float | None] = {
            "large file": first_byte(up, LARGE),
            "small file": first_byte(up, "d0/f7.txt"),
        }
        figures["folder of 1,000"] = first_byte(up, "d0/") if server is LISTING else None
        random, folders = Random(1), options.files // FOLDER_FILES
        paths = [f"d{random.randrange(folders)}/f{random.randrange(FOLDER_FILES)}.txt" for _ in range(SMALL_REQUESTS)]
        figures["worst of 100 small"] = max(first_byte(up, path) for path in paths)
        large_bytes = int(options.gigabytes * 10**9)
        figures["stall"], figures["stall while linked"] = stalls(up, options.clients, large_bytes, outcome)
    return figures


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="benchmarks trees", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--files", type=int, default=100_000, help="small files in the tree, in thousands")
    options.add_argument("--gigabytes", type=float, default=5.0, help="size of the large file, which takes no disk")
    options.add_argument("--clients", type=int, default=20)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every answer was right."""
    options, outcome = parser().parse_args(argv), Outcome()
    rows: dict[str, dict[str, float | None]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-tree-") as folder:
        root = Path(folder) / "tree"
        make_tree(root, options.files, int(options.gigabytes * 10**9))
        Path(folder).chmod(0o755)
        for server in SERVERS:
            if (reason := server.missing()) is not None:
                outcome.skip(server.name, reason)
                continue
            try:
                rows[server.name] = measure(server, root, options, outcome)
            except (ChildFailed, OSError, subprocess.SubprocessError) as error:
                outcome.fail(f"trees: {server.name}: {error}")
    cells = [[name, *(number(row[figure], 0) for figure in FIGURES)] for name, row in rows.items()]
    title = (
        f"A new tree of {options.files:,} files: milliseconds to the first byte; stall of {options.clients} downloads"
    )
    print(table(title, ["server", *FIGURES], cells))
    outcome.figures["rows"] = rows
    save("trees", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
