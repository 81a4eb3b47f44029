"""Find the content hash of a file: remembered by its stamp, found in the index, or computed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from threading import Lock, Thread, get_native_id

from trickleweb.cache import LruCache
from trickleweb.files import disk
from trickleweb.files.digests import Hashes, Index, NoIndex, Progress, hashes_of_file, unreported
from trickleweb.files.disk import file_budget
from trickleweb.files.errors import HashPending
from trickleweb.files.stamps import SECOND_NS, FileStamp, same_bytes

INLINE_BYTES = 4 << 20  # hashed in 3 ms: no manifest is needed
_WAITING_JOBS = 64  # each holds a descriptor; more are dropped, and requested again by clients
_SHARE = 4  # one in four of the file descriptors
_NICENESS = 15  # clients come before hashes


def _logged(error: Exception) -> None:
    import logging  # rarely needed; imported late for a quick start

    logging.getLogger("trickleweb.files").error("a file could not be hashed", exc_info=error)


def yield_to_others() -> None:
    """Lower this thread's priority, where the system can do that for one thread (Linux)."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICENESS)


class BackgroundHasher:
    """Runs hash jobs one after another: `submit` is a `Hasher`'s `defer`. One thread calls it.

    `progress` is called on the hashing thread with (bytes hashed, bytes in all) of the current file; the callback of
    `report_errors` gets unexpected errors of jobs.
    """

    def __init__(self, progress: Progress = unreported) -> None:
        self.on_error: Callable[[Exception], None] = _logged
        self._progress = progress
        self._jobs: Queue[HashJob | None] = Queue(max(min(_WAITING_JOBS, file_budget() // _SHARE), 1))
        self._open = True
        self._thread: Thread | None = None

    def report_errors(self, callback: Callable[[Exception], None]) -> None:
        """Send unexpected errors to `callback`; a file that changes is not one."""
        self.on_error = callback

    def submit(self, job: HashJob) -> None:
        """Queue a job, or cancel it where too many wait or after `close`."""
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
        """End the thread after its queued jobs, and wait for that."""
        self._open = False
        if self._thread is not None and self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _start(self) -> None:
        thread = Thread(target=self._work, name="file hashes", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no threads left: the next job tries again
            self._report(error)
            return
        self._thread = thread

    def _work(self) -> None:
        yield_to_others()
        while (job := self._jobs.get()) is not None:
            try:
                job.run(self._progress)
            except HashPending:  # it changed: the next request sees that
                continue
            except Exception as error:  # noqa: BLE001 - the next files are hashed all the same
                self._report(error)
            except BaseException as error:  # noqa: BLE001 - only the main thread may exit
                self._report(RuntimeError(f"a hash was ended by {error!r}"))

    def _report(self, error: Exception) -> None:
        with suppress(Exception):  # a failed log stops nothing
            self.on_error(error)


_TICK_NS = 50_000_000  # kernels stamp files by a clock that moves every 1 to 10 ms
_COARSE_TICK_NS = 2 * SECOND_NS  # FAT counts in steps of two seconds
_REMEMBERED = 20_000
_OVERHEAD_BYTES, _REMEMBERED_BYTES = 400, 16 << 20
_PAUSE_NS = 10 * SECOND_NS  # after a failed hash, so that a growing file is not retried all the time


def is_settled(stamp: FileStamp, now_ns: int) -> bool:
    """Return whether any later write is sure to change the stamp: no change within its clock's last tick.

    The change time counts, which only the kernel sets.
    """
    tick_ns = _COARSE_TICK_NS if stamp.changed_ns % SECOND_NS == 0 else _TICK_NS
    return abs(now_ns - stamp.changed_ns) >= tick_ns


@dataclass(slots=True)
class HashJob:
    """A file to hash elsewhere, on a thread perhaps: `run` it once, or `cancel` it."""

    stamp: FileStamp
    descriptor: int
    hasher: Hasher = field(repr=False)

    def run(self, progress: Progress = unreported) -> None:
        """Hash the file and remember the digest, unless the file changes."""
        done = False
        try:
            self.hasher.compute(self.descriptor, self.stamp, progress)
            done = True
        finally:
            if not done:
                self.hasher.note_failure(self.stamp)
            self.cancel()

    def cancel(self) -> None:
        """Release the file."""
        self.hasher.pending.discard(self.stamp)
        disk.close(self.descriptor)


class Hasher:
    """Finds hashes by stamps. Large files go to `defer`, if given, which must `run` or `cancel` its jobs.

    `clock_ns` is the wall clock in nanoseconds. Without `defer` every file is hashed in place, however long that takes.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int],
        index: Index | None = None,
        *,
        defer: Callable[[HashJob], None] | None = None,
        inline_bytes: int = INLINE_BYTES,
    ) -> None:
        self.now_ns = clock_ns
        self.inline_bytes = inline_bytes
        self._index: Index = NoIndex() if index is None else index
        self._defer = defer
        self._known: LruCache[tuple[int, int], tuple[FileStamp, Hashes]] = LruCache(_REMEMBERED_BYTES)
        self._failed: LruCache[tuple[int, int], int] = LruCache(_REMEMBERED)
        self._lock = Lock()  # deferred jobs end on other threads
        self.pending: set[FileStamp] = set()

    def is_settled(self, stamp: FileStamp) -> bool:
        """Return whether this stamp distinguishes a file from all its later states."""
        return is_settled(stamp, self.now_ns())

    def now_s(self) -> int:
        """Return the wall clock in whole seconds."""
        return self.now_ns() // SECOND_NS

    def recall(self, stamp: FileStamp) -> Hashes | None:
        """Return the hashes known of a file that, by its stamp, has the same bytes, or None."""
        with self._lock:
            known = self._known.get(stamp[:2])
        if known is not None and known[0] == stamp:
            return known[1]
        hashes = known[1] if known is not None and same_bytes(known[0], stamp) else self._index.get(stamp)
        if hashes is not None:
            self._remember(stamp, hashes)
        return hashes

    def is_quick(self, stamp: FileStamp) -> bool:
        """Return whether a file is hashed in place: it is small, or there is no thread."""
        return self._defer is None or stamp.size_bytes <= self.inline_bytes

    def hashes(self, descriptor: int, stamp: FileStamp, progress: Progress = unreported) -> Hashes:
        """Return the hashes of an open file in the state `stamp`; raise `HashPending` if they are not known yet.

        `progress` reports hashing in place.
        """
        known = self.recall(stamp)
        if known is not None:
            return known
        if not self.is_settled(stamp):
            raise HashPending("the file has only just been written")
        if self.is_quick(stamp):
            return self.compute(descriptor, stamp, progress)
        self.begin(descriptor, stamp)
        raise HashPending("the file is being hashed")

    def begin(self, descriptor: int, stamp: FileStamp) -> None:
        """Hash an open file elsewhere, unless that is in progress or failed recently."""
        if self._defer is None or stamp in self.pending or self.gave_up(stamp):
            return
        job = HashJob(stamp, disk.duplicate(descriptor), self)
        self.pending.add(stamp)
        self._defer(job)

    def gave_up(self, stamp: FileStamp) -> bool:
        """Return whether the file's hash failed recently."""
        with self._lock:
            failed_ns = self._failed.get(stamp[:2])
        return failed_ns is not None and abs(self.now_ns() - failed_ns) < _PAUSE_NS

    def compute(self, descriptor: int, stamp: FileStamp, progress: Progress = unreported) -> Hashes:
        """Hash an open file and remember it; raise `HashPending` if it is not in the state `stamp` throughout."""
        hashes = hashes_of_file(descriptor, stamp, self._index, progress)
        self._remember(stamp, hashes)
        self._index.put(stamp, hashes)
        return hashes

    def note_failure(self, stamp: FileStamp) -> None:
        """Leave a file alone for a while."""
        with self._lock:
            self._failed.put(stamp[:2], self.now_ns())

    def forget(self) -> None:
        """Drop the remembered hashes; the index stays."""
        with self._lock:
            self._known.clear()

    def _remember(self, stamp: FileStamp, hashes: Hashes) -> None:
        with self._lock:
            self._known.put(stamp[:2], (stamp, hashes), len(hashes.blocks) + _OVERHEAD_BYTES)
