"""A thread that hashes files on behalf of a loop that must not wait."""

from __future__ import annotations

from queue import Full, Queue
from threading import Thread

from trickleweb.files.digests import Progress, untold
from trickleweb.files.errors import FilesError
from trickleweb.files.hashing import HashJob

_WAITING_JOBS = 64  # each holds a descriptor; more are dropped, and asked for again by their clients


class BackgroundHasher:
    """Runs hash jobs one after another: `submit` is a `Hasher`'s `defer`.

    `progress` is called on the thread with (bytes hashed, bytes in all) of the file at work.
    """

    def __init__(self, progress: Progress = untold) -> None:
        self._progress = progress
        self._jobs: Queue[HashJob | None] = Queue(_WAITING_JOBS)
        self._open = True
        self._thread = Thread(target=self._work, name="file hashes", daemon=True)
        self._thread.start()

    def submit(self, job: HashJob) -> None:
        """Take a job, or cancel it where too many wait, or none are taken any more."""
        try:
            if not self._open:
                raise Full
            self._jobs.put_nowait(job)
        except Full:
            job.cancel()

    def close(self) -> None:
        """End the thread after the jobs it has; returns when it has ended."""
        self._open = False
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.run(self._progress)
            except (FilesError, OSError):  # changed or gone meanwhile: whoever asks again is told so
                continue
