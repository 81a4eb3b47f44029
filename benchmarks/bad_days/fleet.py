"""A fleet that is about to have a bad day: its run directory may have a small disk, in a mount namespace of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.support import procfs
from benchmarks.support.processes import REPOSITORY

READY_SECONDS = 60.0
LOOK_SECONDS = 0.02
REPLICAS = ("replica-0", "replica-1")
ALL = (*REPLICAS, "gateway")
DISK_BYTES = 16 << 20


class Fleet:
    """`trickleweb serve` over `site`, or `trickleweb run` with a program; a context manager that ends it.

    `disk` is where its run directory lies.

    With `mounted` the disk is a small tmpfs that only the fleet's processes see by its name. `streams` are its standard
    output and error: "pipes", whose ends are `readers`, or "closed".
    """

    def __init__(
        self,
        site: Path,
        disk: Path,
        *,
        mounted: bool = False,
        streams: str = "pipes",
        environment: Mapping[str, str] | None = None,
        program: str | None = None,
    ) -> None:
        self._disk, self._mounted = disk, mounted
        self.is_program = program is not None
        where = ["--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--run-dir", str(disk / "run")]
        what = ["serve", str(site)] if program is None else ["run", program]
        words = [sys.executable, "-m", "trickleweb", *what, "--replicas", str(len(REPLICAS)), *where]
        script = f"mount -t tmpfs -o size={DISK_BYTES} bad-day {disk} && " if mounted else ""
        closing = " >&- 2>&-" if streams == "closed" else ""
        prefix = ["unshare", "--mount", "--propagation", "private"] if mounted else []
        self._process = subprocess.Popen(
            [*prefix, "sh", "-c", f'{script}exec "$@"{closing}', "sh", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
        )
        self.pid = self._process.pid
        self.readers = [each for each in (self._process.stdout, self._process.stderr) if each is not None]

    def __enter__(self) -> Self:
        try:
            self.url = self._url()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _url(self) -> str:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError, ValueError):
                return str(json.loads((self.disk / "run" / "fleet.json").read_text())["url"])
            time.sleep(LOOK_SECONDS)
        raise TimeoutError("the fleet did not start")

    @property
    def disk(self) -> Path:
        """As this process reaches it."""
        return Path(f"/proc/{self.pid}/root{self._disk}") if self._mounted else self._disk

    def run_in_its_namespace(self, *words: object) -> None:
        """Run a program where the fleet's mounts are; `{disk}` is the fleet's name of it."""
        named = [str(word).format(disk=self._disk) for word in words]
        subprocess.run(["nsenter", "--mount", f"--target={self.pid}", *named], check=True, timeout=30)

    def processes(self) -> dict[str, int]:
        """Pids of those that live, by name; no file of the fleet is asked."""
        found = {}
        for pid in self.family():
            words = command_line(pid)
            for name in ALL:
                own = comm(pid) == name or f"{name}.json" in " ".join(words)
                if own and procfs.running(pid):
                    found[name] = pid
        return found

    def family(self) -> list[int]:
        """Pids of all its processes, the supervisor's first."""
        return procfs.tree(self.pid)

    def kill(self, name: str) -> bool:
        """SIGKILL; whether there was such a process."""
        pid = self.processes().get(name)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return True

    def is_running(self) -> bool:
        """Whether the supervisor is."""
        return self._process.poll() is None

    def _close(self) -> None:
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for each in self.readers:
            each.close()


def comm(pid: int) -> str:
    """The short name of a process, "" if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def command_line(pid: int) -> list[str]:
    """The words of a process, none if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").split("\0")
    return []
