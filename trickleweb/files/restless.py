"""Files that are being written: which of them only grow, and how long to wait for one to rest.

A large file that was written within the last tick of its clock cannot be told from what is written in the same tick.
It is waited for, a moment: most are then complete. One that goes on being written is served as far as it has come if
it grows, for what is there stays there. One that is written over stays restless: nobody can say what it is now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trickleweb.cache import LruCache
from trickleweb.files.errors import FilesUnavailable, HashPending
from trickleweb.files.stamps import SECOND_NS, FileStamp

PATIENCE_NS = 200_000_000  # four ticks: who wrote it once has finished by then
_FORGOTTEN_NS = 10 * SECOND_NS
_REMEMBERED = 4096


class _Writing(NamedTuple):
    """A file that was found written a moment ago, again and again since `since_ns`."""

    since_ns: int
    seen_ns: int
    stamp: FileStamp
    grows: bool | None = None  # by its last change; None as long as it was not seen to change


class Restless:
    """A bounded memory of files that are being written; it may be lost, at the cost of another wait."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._files: LruCache[tuple[int, int], _Writing] = LruCache(_REMEMBERED)

    def rests(self, stamp: FileStamp) -> None:
        """Forget a file that is written no longer."""
        self._files.drop(stamp[:2])

    def check(self, stamp: FileStamp) -> None:
        """Return if a file with that stamp may be served as far as it has come.

        `HashPending` while it is worth waiting for, `FilesUnavailable` if it is being written over.
        """
        now = self._now_ns()
        known = self._files.get(stamp[:2])
        if known is None or abs(now - known.seen_ns) > _FORGOTTEN_NS:
            known = _Writing(now, now, stamp)
        grows = known.grows if stamp == known.stamp else stamp.size_bytes > known.stamp.size_bytes
        self._files.put(stamp[:2], _Writing(known.since_ns, now, stamp, grows))
        if grows is None or abs(now - known.since_ns) < PATIENCE_NS:
            raise HashPending("the file has only just been written")
        if not grows:
            raise FilesUnavailable("the file is being written over")
