"""Files that are being written: detect whether they only grow, and bound the wait for them to rest.

A large file written within the last tick of its clock cannot be distinguished from later writes in the same tick. The
response waits for a moment: most files are then complete. A file that keeps growing is served up to its current length,
which stays valid. One that is overwritten again and again is unavailable: its content is undefined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trickleweb.cache import LruCache
from trickleweb.files.errors import FilesUnavailable, HashPending
from trickleweb.files.stamps import SECOND_NS, FileStamp

PATIENCE_NS = 200_000_000  # four ticks: a single write has finished by then
_FORGOTTEN_NS = 10 * SECOND_NS
_REMEMBERED = 4096


class _Writing(NamedTuple):
    """A file that was just written at every check since `since_ns`."""

    since_ns: int
    seen_ns: int
    stamp: FileStamp
    grows: bool | None = None  # by its last change; None until a change is seen


class Restless:
    """A bounded memory of files that are being written; losing it costs another wait."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._files: LruCache[tuple[int, int], _Writing] = LruCache(_REMEMBERED)

    def rests(self, stamp: FileStamp) -> None:
        """Forget a file that no longer changes."""
        self._files.drop(stamp[:2])

    def check(self, stamp: FileStamp) -> None:
        """Return if a file with that stamp may be served up to its current length.

        Raise `HashPending` while it is worth waiting for, `FilesUnavailable` if it is being overwritten.
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
            raise FilesUnavailable("the file is being overwritten")
