"""Replicas of a running fleet killed, at random times or one by one, while something else goes on."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Self

from tests.support.served import Served

KILL_SECONDS = 0.5


class Killer(threading.Thread):
    """Kills a random replica every so often, until the block ends; gently, only when all others are there."""

    def __init__(
        self, fleet: Served, seed: int = 1, *, replicas: int = 3, gently: bool = False, every: float = KILL_SECONDS
    ) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self._fleet = fleet
        self._replicas = replicas
        self._gently = gently
        self._every = every
        self._random = Random(seed)
        self._over = threading.Event()
        self.struck = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._every):
            if self._gently and len(list(self._fleet.run_dir.glob("replica-*.pid"))) < self._replicas:
                continue
            if kill(self._fleet, self._random.randrange(self._replicas)):
                self.kills += 1
                self.struck.set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def kill(fleet: Served, index: int) -> bool:
    """SIGKILL for a replica; whether there was one."""
    try:
        os.kill(fleet.pid(f"replica-{index}"), signal.SIGKILL)
    except (OSError, ValueError):  # it is just being started again
        return False
    return True


@contextmanager
def drained(fleet: Served) -> Iterator[None]:
    """Nobody reads what the supervisor tells of each death: take it off its hands."""
    reader = threading.Thread(target=fleet.program.errors.rest, daemon=True)
    reader.start()
    yield
    fleet.program.terminate()
    reader.join()
