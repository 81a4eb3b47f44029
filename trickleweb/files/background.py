"""A thread that hashes files on behalf of a loop that must not wait.

No job can end it: whatever one raises is reported, and its file is left alone for a while. Should the thread end all
the same, the next job starts another.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue
from threading import Thread, get_native_id

from trickleweb.files.descriptors import file_budget
from trickleweb.files.digests import Progress, untold
from trickleweb.files.errors import HashPending
from trickleweb.files.hashing import HashJob

_WAITING_JOBS = 64  # each holds a descriptor; more are dropped, and asked for again by their clients
_SHARE = 4  # of the descriptors that files may have
_NICENESS = 15  # a hash can wait, clients cannot


def _logged(error: Exception) -> None:
    import logging  # seldom needed, and all replicas start quickly

    logging.getLogger("trickleweb.files").error("a file could not be hashed", exc_info=error)


def yield_to_others() -> None:
    """Let this thread use what processor time others leave; where a system can do that for a thread alone (Linux)."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICENESS)


class BackgroundHasher:
    """Runs hash jobs one after another: `submit` is a `Hasher`'s `defer`. One thread calls it.

    `progress` is called on the hashing thread with (bytes hashed, bytes in all) of the file at work, and
    `report_errors` says what is called there with what a job should not have raised.
    """

    def __init__(self, progress: Progress = untold) -> None:
        self.on_error: Callable[[Exception], None] = _logged
        self._progress = progress
        self._jobs: Queue[HashJob | None] = Queue(max(min(_WAITING_JOBS, file_budget() // _SHARE), 1))
        self._open = True
        self._thread: Thread | None = None

    def report_errors(self, callback: Callable[[Exception], None]) -> None:
        """Tell `callback` what a job should not have raised: a file that changed meanwhile is none of that."""
        self.on_error = callback

    def submit(self, job: HashJob) -> None:
        """Take a job, or cancel it where too many wait, or none are taken any more."""
        try:
            if not self._open:
                raise Full
            self._jobs.put_nowait(job)
        except Full:
            job.cancel()
            return
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def close(self) -> None:
        """End the thread after the jobs it has; returns when it has ended."""
        self._open = False
        if self._thread is not None and self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _start(self) -> None:
        thread = Thread(target=self._work, name="file hashes", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads may be had now: the next job tries again
            self._report(error)
            return
        self._thread = thread

    def _work(self) -> None:
        yield_to_others()
        while (job := self._jobs.get()) is not None:
            try:
                job.run(self._progress)
            except HashPending:  # changed meanwhile: whoever asks again is told so
                continue
            except Exception as error:  # noqa: BLE001 - the files after this one are hashed all the same
                self._report(error)
            except BaseException as error:  # noqa: BLE001 - an exit is the main thread's to ask for
                self._report(RuntimeError(f"a hash was ended by {error!r}"))

    def _report(self, error: Exception) -> None:
        with suppress(Exception):  # a log that cannot be written stops nothing
            self.on_error(error)
