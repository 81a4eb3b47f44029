"""Hashing the served folder on a thread of its own into the index, so that few first requests have to wait for it."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from trickleweb.files import Hasher, Progress, StoreLimits, warm

_EVERY_SECONDS = 2.0


class Warming:
    """Begins at once; tells on stderr how far it has come where it takes a while. `progress` is what is done."""

    def __init__(self, directory: Path, hasher: Hasher) -> None:
        self.progress = Progress("", 0, 0)
        self.done = False
        self._directory = directory
        self._hasher = hasher
        self._thread = threading.Thread(target=self._work, name="warming", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when all is done."""
        self._thread.join()

    def _work(self) -> None:
        begun = told = time.monotonic()
        for progress in warm(self._directory, self._hasher, above_bytes=StoreLimits().small_bytes):
            self.progress = progress
            if time.monotonic() - told > _EVERY_SECONDS:
                told = time.monotonic()
                self._tell("looking through the folder")
        self.done = True
        if told != begun:
            self._tell("looked through the folder")

    def _tell(self, what: str) -> None:
        print(f"{what}: {self.progress.files} files, {self.progress.size_bytes / 1e6:.0f} MB", file=sys.stderr)
