"""A thread that kills a replica every so often, and remembers when and whom."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.support import procfs

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL: when (monotonic seconds), how many replicas lived before, whether the victim was the busiest."""

    moment: float
    alive: int
    busiest: bool


class Killer(threading.Thread):
    """Kills one replica every `interval` seconds, at most `most` in all, until `stop`.

    `living` names the replicas that may be killed now. The victim is random, or with `serving` the replica that used
    most CPU just before: the one that serves.
    """

    def __init__(
        self,
        living: Callable[[], list[int]],
        interval: float,
        seed: int,
        *,
        serving: bool = False,
        most: int = 10_000,
    ) -> None:
        super().__init__(name="killer", daemon=True)
        self._living, self._interval, self._serving, self._most = living, interval, serving, most
        self._random, self._told = random.Random(seed), threading.Event()
        self.kills: list[Kill] = []

    def run(self) -> None:
        while len(self.kills) < self._most and not self._told.wait(max(0.0, self._interval - SAMPLE_SECONDS)):
            used = {pid: -procfs.process_cpu_seconds(pid) for pid in self._living()}
            time.sleep(SAMPLE_SECONDS)
            alive = self._living()
            if alive:
                self._kill_one({pid: used.get(pid, 0.0) + procfs.process_cpu_seconds(pid) for pid in alive})

    def _kill_one(self, used: dict[int, float]) -> None:
        busiest = max(used, key=lambda pid: used[pid])
        victim = busiest if self._serving else self._random.choice(sorted(used))
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills.append(Kill(time.monotonic(), len(used), victim == busiest))

    def stop(self) -> None:
        """End the thread."""
        self._told.set()
        self.join()


@contextmanager
def killing(living: Callable[[], list[int]], interval: float, seed: int, *, kill: bool = True) -> Iterator[Killer]:
    """A killer of these replicas, at work within the block if `kill`."""
    killer = Killer(living, interval, seed)
    if kill:
        killer.start()
    try:
        yield killer
    finally:
        if kill:
            killer.stop()
