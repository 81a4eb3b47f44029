"""`trickleweb serve` as a process, and what a test wants of it: its URL, its pids, their end."""

import json
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.support.processes import PATIENCE_SECONDS, Program

ANY_PORT = "127.0.0.1:0"


class Served:
    """A fleet over a folder; it has said that it is ready."""

    def __init__(self, program: Program, run_dir: Path, command: str) -> None:
        self.program = program
        self.command = command
        self.run_dir = run_dir
        self.announcement = program.output.next()
        told = json.loads((run_dir / "fleet.json").read_text())
        self.url: str = (told["url"] or "").rstrip("/")
        self.udp: list[str] = told["udp"]

    def pid(self, name: str) -> int:
        """The pid that its file tells."""
        return int((self.run_dir / f"{name}.pid").read_text())

    def pids(self) -> list[int]:
        """Those of all processes that are ready, replicas and gateway."""
        return [int(path.read_text()) for path in sorted(self.run_dir.glob("*.pid"))]

    def get(self, path: str) -> bytes:
        """What lies at that path, by way of the gateway."""
        with urlopen(self.url + path, timeout=PATIENCE_SECONDS) as response:
            data: bytes = response.read()
            return data

    def status(self) -> dict[str, Any]:
        """What `trickleweb status --json` prints."""
        with Program("trickleweb", "status", "--json", "--run-dir", self.run_dir) as status:
            assert status.wait() == 0
            told: dict[str, Any] = json.loads(status.output.rest())
            return told


@contextmanager
def served(folder: Path, run_dir: Path, *words: object, **options: Any) -> Iterator[Served]:
    """A fleet on any free ports, ended when the block ends; `options` are those of `Program`."""
    where = ("--listen", ANY_PORT, "--udp", ANY_PORT, "--run-dir", run_dir)
    with Program("trickleweb", "serve", folder, *where, *words, **options) as program:
        fleet = Served(program, run_dir, "serve")
        try:
            yield fleet
        finally:
            program.terminate()


@contextmanager
def running(program: str, run_dir: Path, *words: object, **options: Any) -> Iterator[Served]:
    """A fleet that serves a program on any free ports, ended when the block ends; `options` are those of `Program`."""
    where = ("--listen", ANY_PORT, "--udp", ANY_PORT, "--run-dir", run_dir)
    with Program("trickleweb", "run", program, *where, *words, **options) as started:
        fleet = Served(started, run_dir, "run")
        try:
            yield fleet
        finally:
            started.terminate()


def ends(pid: int) -> bool:
    """Wait until a process that is nobody's child here has ended; whether it did in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], PATIENCE_SECONDS)[0])
    finally:
        os.close(descriptor)
