"""Counts the logs in the folders, and removes old ones. Other files are left alone."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from trickles.drivers.spooldir.tally import NOTHING, SpoolBounds, Tally, Usage
from trickles.spool import SpoolFull

LEAST_LOG_BYTES = 4096  # of the smallest file
COUNT_SHARE = 20  # counting while pieces come may take a twentieth of the time
LEAST_PAUSE = 0.05  # seconds between two folders
FOLDERS = 256
_FOLDER = re.compile(r"[0-9a-f]{2}")
_LOG = re.compile(r"[0-9a-f]{2,}\.(?P<host>[0-9a-f]{16})\.[0-9a-f]{16}")


class Keeper:
    """Visits the folders in turn, now and then, and knows the usage approximately."""

    def __init__(self, root: str, bounds: SpoolBounds, clock: Callable[[], float]) -> None:
        self._root = root
        self._bounds = bounds
        self._clock = clock
        self._turn: Iterator[str] = iter(())
        self._visit_at = 0.0
        self.tally = Tally()

    def admit(self, folder: str, host: str, byte_count: int, *, fresh: bool) -> None:
        """Count so many more bytes, in a `fresh` log or an old one; SpoolFull when that is too much."""
        self._keep_up()
        bounds, total, own = self._bounds, self.tally.total, self.tally.of(host)
        byte_count = max(byte_count, LEAST_LOG_BYTES) if fresh else byte_count
        room = min(bounds.most_total_bytes - total.byte_count, bounds.most_host_bytes - own.byte_count)
        if byte_count > room or (fresh and self._has_most_logs(total, own, self.tally.within(folder, host))):
            raise SpoolFull
        self.tally.add(folder, host, byte_count, 1 if fresh else 0)

    def _has_most_logs(self, total: Usage, own: Usage, in_folder: Usage) -> bool:
        most = self._bounds
        has_most = own.logs >= most.most_host_logs or in_folder.logs >= most.most_host_folder_logs
        return has_most or total.logs >= most.most_total_logs

    def _keep_up(self) -> None:
        now = self._clock()
        if now >= self._visit_at or now < self._visit_at - FOLDERS:  # the latter after the clock was set back
            self.visit(1)
            took = max(self._clock() - now, 0.0)
            self._visit_at = now + max(LEAST_PAUSE, COUNT_SHARE * took)

    def visit(self, folders: int) -> int:
        """Count the next folders, up to the last one, and remove old logs in them; return how many were removed."""
        turn = list(islice(self._turn, folders))
        if not turn:
            self._turn = iter(self._begin_round())
            turn = list(islice(self._turn, folders))
        return sum(map(self._visit, turn))

    def visit_all(self) -> int:
        self._turn = iter(())
        return self.visit(FOLDERS)

    def _begin_round(self) -> list[str]:
        """Return the present folders, and forget the usage of others."""
        there = sorted(name for name in _names(self._root) if _FOLDER.fullmatch(name))
        for gone in set(self.tally.folders).difference(there):
            self.tally.replace(gone, {})
        return there

    def _visit(self, folder: str) -> int:
        now, removed = self._clock(), 0
        most_age = self._bounds.most_crowded_age if self._crowded else self._bounds.most_age
        counted: dict[str, Usage] = {}
        for path, host, status in _logs(f"{self._root}/{folder}"):
            if abs(now - status.st_mtime) > most_age:  # or from the future: a clock was set back
                with suppress(OSError):
                    Path(path).unlink()
                    removed += 1
                continue
            size = max(status.st_blocks * 512, status.st_size, LEAST_LOG_BYTES)
            counted[host] = counted.get(host, NOTHING).plus(size, 1)
        self.tally.replace(folder, counted)
        return removed

    @property
    def _crowded(self) -> bool:
        total, bounds = self.tally.total, self._bounds
        return 2 * total.byte_count > bounds.most_total_bytes or 2 * total.logs > bounds.most_total_logs


def _names(folder: str) -> list[str]:
    try:
        return [entry.name for entry in Path(folder).iterdir()]
    except OSError:
        return []


def _logs(folder: str) -> Iterator[tuple[str, str, os.stat_result]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _LOG.fullmatch(entry.name)
            if found is None:
                continue
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield entry.path, found["host"], status
