"""Hash the served folder into the index on a thread, so that few first requests have to wait."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from trickles.drivers.keeping import kept_thread
from trickles.printable import one_line
from trickleweb.files import Hasher, StoreLimits, yield_to_others
from trickleweb.files.stamps import FileStamp
from trickleweb.files.warm import Progress, warm

_EVERY_SECONDS = 2.0


class Warming:
    """Begins at once, and reports on stderr where it takes a while. `progress` is the work done."""

    def __init__(self, directory: Path, hasher: Hasher, every_seconds: float = _EVERY_SECONDS) -> None:
        self.progress = Progress("", 0, 0)
        self._every_seconds = every_seconds
        self._begun = self._reported = time.monotonic()
        self.done = False
        self._directory = directory
        self._hasher = hasher
        self._thread = kept_thread("hashing the folder", self._work, self._report)

    def wait(self) -> None:
        """Wait for the end of the work."""
        self._thread.join()

    def _work(self) -> None:
        try:
            self._look_through()
        except Exception as error:  # noqa: BLE001 - files are then hashed on request
            self._report(f"the folder cannot be hashed: {type(error).__name__}: {error}")
        self.done = True
        if self._reported != self._begun:
            self._report(f"hashed the folder: {self._so_far()}")

    def _look_through(self) -> None:
        above, hash_file = StoreLimits().small_bytes, partial(_hash_quietly, self._hasher)
        for progress in warm(self._directory, hash_file, above_bytes=above, within=self._within):
            self.progress = progress
            if self._is_due():
                self._report(f"hashing the folder: {self._so_far()}")

    def _within(self, path: str, done_bytes: int, size_bytes: int) -> None:
        if self._is_due():
            self._report(f"hashing {path}: {done_bytes / 1e6:.0f} of {size_bytes / 1e6:.0f} MB")

    def _is_due(self) -> bool:
        now = time.monotonic()
        due = now - self._reported > self._every_seconds
        self._reported = now if due else self._reported
        return due

    def _so_far(self) -> str:
        return f"{self.progress.files} files, {self.progress.size_bytes / 1e6:.0f} MB"

    def _report(self, what: str) -> None:
        with suppress(OSError, ValueError):  # stderr is closed
            print(one_line(what), file=sys.stderr, flush=True)


def _hash_quietly(hasher: Hasher, descriptor: int, stamp: FileStamp, progress: Callable[[int, int], None]) -> None:
    """Hash a large file on a thread that yields the processor; small ones here."""
    if hasher.recall(stamp) is not None:
        return
    if stamp.size_bytes <= hasher.inline_bytes:
        hasher.hashes(descriptor, stamp, progress)
        return
    errors: list[Exception] = []

    def work() -> None:
        yield_to_others()
        try:
            hasher.hashes(descriptor, stamp, progress)
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=work, name="hashing ahead", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
