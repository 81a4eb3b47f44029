"""Working out which content a file holds: remembered by its stamp, looked up in the index, else hashed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from trickleweb.files import disk
from trickleweb.files.contents import Stamp
from trickleweb.files.digests import Index, NoIndex, Progress, digest_of_file, untold
from trickleweb.files.errors import HashPending
from trickleweb.files.recent import Recent

_SECOND_NS = 1_000_000_000
_TICK_NS = 50_000_000  # kernels stamp files by a clock that moves every 1 to 10 ms
_COARSE_TICK_NS = 2 * _SECOND_NS  # FAT counts in steps of two seconds
_REMEMBERED = 20_000


def is_settled(stamp: Stamp, now_ns: int) -> bool:
    """Whether a later write would be sure to change the stamp: the file has not changed within its clock's last tick.

    The change time is judged, which the kernel sets and nobody else can.
    """
    tick_ns = _COARSE_TICK_NS if stamp.changed_ns % _SECOND_NS == 0 else _TICK_NS
    return abs(now_ns - stamp.changed_ns) >= tick_ns


@dataclass(slots=True)
class HashJob:
    """A file to be hashed elsewhere, on a thread perhaps: `run` it once, or `cancel` it."""

    stamp: Stamp
    descriptor: int
    hasher: Hasher = field(repr=False)

    def run(self, progress: Progress = untold) -> None:
        """Hash the file and remember the digest; nothing is remembered of a file that changes meanwhile."""
        try:
            self.hasher.learn(self.descriptor, self.stamp, progress)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Let go of the file."""
        self.hasher.pending.discard(self.stamp)
        disk.close(self.descriptor)


class Hasher:
    """Tells digests by stamps. Large files are hashed by `defer`, where given, which must `run` or `cancel` its jobs.

    `clock_ns` is the wall clock in nanoseconds. Without `defer` every file is hashed in place, however long that takes.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int],
        index: Index | None = None,
        *,
        defer: Callable[[HashJob], None] | None = None,
        inline_bytes: int = 4 << 20,
    ) -> None:
        self._clock_ns = clock_ns
        self._index: Index = NoIndex() if index is None else index
        self._defer = defer
        self._inline_bytes = inline_bytes  # 4 MiB take 2 ms
        self._known: Recent[Stamp, bytes] = Recent(_REMEMBERED)
        self._lock = Lock()  # deferred jobs end on other threads
        self.pending: set[Stamp] = set()

    def is_settled(self, stamp: Stamp) -> bool:
        """Whether a file with this stamp can be told from any later state of it."""
        return is_settled(stamp, self._clock_ns())

    def now_s(self) -> int:
        """The wall clock in whole seconds."""
        return self._clock_ns() // _SECOND_NS

    def digest(self, descriptor: int, stamp: Stamp, progress: Progress = untold) -> bytes:
        """The digest of an open file in the state `stamp`; `HashPending` if it is not known yet.

        `progress` is told of what is hashed in place.
        """
        known = self._recall(stamp)
        if known is not None:
            return known
        if not self.is_settled(stamp):
            raise HashPending("the file has only just been written")
        if self._defer is None or stamp.size_bytes <= self._inline_bytes:
            return self.learn(descriptor, stamp, progress)
        if stamp not in self.pending:
            self.pending.add(stamp)
            self._defer(HashJob(stamp, disk.duplicate(descriptor), self))
        raise HashPending("the file is being hashed")

    def learn(self, descriptor: int, stamp: Stamp, progress: Progress = untold) -> bytes:
        """Hash an open file and remember it; `HashPending` if it is not, from first to last, in the state `stamp`."""
        digest = digest_of_file(descriptor, stamp, self._index, progress)
        self._remember(stamp, digest)
        self._index.put(stamp, digest)
        return digest

    def forget(self) -> None:
        """Drop what is remembered; the index stays."""
        with self._lock:
            self._known.clear()

    def _recall(self, stamp: Stamp) -> bytes | None:
        with self._lock:
            known = self._known.get(stamp)
        if known is None and (known := self._index.get(stamp)) is not None:
            self._remember(stamp, known)
        return known

    def _remember(self, stamp: Stamp, digest: bytes) -> None:
        with self._lock:
            self._known.put(stamp, digest)
