"""A fleet whose replicas die one after another, and programs that are not to notice."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.processes import PATIENCE_SECONDS
from tests.support.served import Served

EVERY_SECONDS = 0.25
REPLICAS = 2


class Deaths(threading.Thread):
    """Kills the replicas of a fleet in turn, one every so often, each once the last one is back."""

    def __init__(self, fleet: Served) -> None:
        super().__init__(daemon=True)
        self.fleet = fleet
        self.count = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            name = f"replica-{self.count % REPLICAS}"
            os.kill(self.fleet.pid(name), signal.SIGKILL)
            self._told(f"trickleweb serve: {name} ended")
            self._told(f"trickleweb serve: {name} is back")
            self.count += 1

    def _told(self, expected: str) -> None:
        while (line := self.fleet.program.errors.next()) != expected:
            assert not line.startswith("trickleweb serve:"), line  # replicas may have words of their own

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def outlived_by(self, work: Callable[[], None]) -> None:
        """Have it done, again and again until each replica has died meanwhile."""
        enough = self.count + REPLICAS
        while True:
            work()
            assert self.is_alive(), "nobody kills replicas any more"
            if self.count >= enough:
                return


@dataclass(frozen=True, slots=True)
class Matrix:
    """A fleet whose replicas die, and what it serves."""

    deaths: Deaths
    large: bytes  # large.bin
    small: list[bytes]  # small/0.bin and so on

    @property
    def url(self) -> str:
        """Where the gateway takes HTTP."""
        return self.deaths.fleet.url

    def outlived_by(self, work: Callable[[], None]) -> None:
        """As `Deaths.outlived_by`."""
        self.deaths.outlived_by(work)


def output(words: Sequence[object], folder: Path | None = None, environ: Mapping[str, str] | None = None) -> bytes:
    """What a program of the system prints, run without any proxy in its environment; fails when the program does."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=plain_environ() | dict(environ or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}"
    return done.stdout


def plain_environ() -> dict[str, str]:
    """The environment without what sends programs through a proxy or to another registry."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("PIP_", "GIT_"))
    }
