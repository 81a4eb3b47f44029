"""Open files, each one version of a content, and a bounded cache of them.

Each read is followed by a check of the file's stamp. While that is unchanged, or differs only in fields that writes do
not touch, the bytes are those of the version. After other changes:

- the blocks of a hashed file are compared with their hashes before any byte of them is returned. A file that was only
  touched, renamed or appended to stays readable, at the cost of hashing, and an overwritten one is noticed.
- a file without a hash stays readable if it was growing before and still is (`snapshots`), else it is another version.

A file that was replaced, renamed or removed can be read as long as it is open here; `stamps` names the limits.
"""

from __future__ import annotations

from typing import Protocol

from trickleweb.cache import LruCache
from trickleweb.files import disk
from trickleweb.files.digests import BLOCK_BYTES, Hashes, block_bounds
from trickleweb.files.errors import ContentNotHere
from trickleweb.files.hashing import Hasher
from trickleweb.files.snapshots import FileSnapshot, Match, match, witness_of
from trickleweb.files.stamps import FileStamp, same_bytes

NO_TIME_NS = -(1 << 100)  # of no file
_VERIFIED_BYTES = 4 * BLOCK_BYTES  # of files that are written while they are read


class OpenFile(Protocol):
    """One version of a file, open; its owner closes it."""

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop), fewer beyond the version's end; raise `ContentNotHere` for another
        version.
        """

    def close(self) -> None:
        """Close the file."""


class HashedFile:
    """A file whose hashes are known; `stamp` is a state in which it had exactly that content.

    `unseen`: no such state is known, so each block is compared with its hash.
    """

    __slots__ = (
        "_checked",
        "_descriptor",
        "_hasher",
        "_hashes",
        "_later",
        "_mark",
        "_size_bytes",
        "_stamp",
        "_verified",
    )

    def __init__(
        self,
        descriptor: int,
        stamp: FileStamp,
        hashes: Hashes,
        hasher: Hasher,
        verified: LruCache[tuple[bytes, int], bytes],
        *,
        unseen: bool = False,
    ) -> None:
        self._descriptor = descriptor
        self._stamp = stamp._replace(modified_ns=NO_TIME_NS) if unseen else stamp
        self._mark = self._stamp[:5]
        self._size_bytes = stamp.size_bytes
        self._hashes = hashes
        self._hasher = hasher
        self._verified = verified  # blocks, by digest and number
        self._later: FileStamp | None = None  # a later state
        self._checked: set[int] = set()  # blocks verified in it

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._size_bytes)
        data = disk.read_range(self._descriptor, start, max(start, stop))
        if disk.mark_of(self._descriptor) == self._mark:  # after the read: a write stamps the file first
            return data
        stamp = disk.stamp_of(self._descriptor)
        if same_bytes(self._stamp, stamp, held=True):
            self._stamp, self._mark = stamp, stamp[:5]
            return data
        if stamp.size_bytes < self._size_bytes:
            raise ContentNotHere("the file has become shorter")
        numbers = range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES))
        if stamp == self._later and self._checked.issuperset(numbers):
            return data
        return b"".join(self._piece(number, start, stop, stamp) for number in numbers)

    def close(self) -> None:
        disk.close(self._descriptor)

    def is_of(self, stamp: FileStamp) -> bool:
        """Return whether it is the file of that stamp, in any state."""
        return self._stamp[:2] == stamp[:2]

    def _piece(self, number: int, start: int, stop: int, stamp: FileStamp) -> bytes:
        low, high = block_bounds(self._size_bytes, number)
        block = self._block(number, low, high, stamp)
        return block[max(start - low, 0) : stop - low]

    def _block(self, number: int, low: int, high: int, before: FileStamp) -> bytes:
        """Return a whole verified block, whatever happens to the file; it had the stamp `before` a moment ago."""
        known = self._verified.get((self._hashes.digest, number))
        if known is not None:
            return known
        block = disk.read_range(self._descriptor, low, high)
        if not self._hashes.confirms(number, block):
            raise ContentNotHere("the file was written over")
        if disk.stamp_of(self._descriptor) != before or not self._hasher.is_settled(before):
            self._verified.put((self._hashes.digest, number), block, len(block))  # the file may differ by now
            return block
        if before != self._later:
            self._later, self._checked = before, set()
        self._checked.add(number)
        return block


class SnapshotFile:
    """A file that had no hash when it was first opened."""

    __slots__ = ("_descriptor", "_machine", "_path", "_snapshot", "_stamp")

    def __init__(self, descriptor: int, stamp: FileStamp, snapshot: FileSnapshot, machine: bytes) -> None:
        self._descriptor = descriptor
        self._stamp = stamp
        self._snapshot = snapshot
        self._machine = machine
        self._path = disk.path_of(descriptor)

    @property
    def stamp(self) -> FileStamp:
        """The last state in which it was verified."""
        return self._stamp

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._snapshot.size_bytes)
        data = disk.read_range(self._descriptor, start, max(start, stop))
        self.check(disk.stamp_of(self._descriptor), held=True)
        return data

    def check(self, stamp: FileStamp, *, held: bool) -> None:
        """Note the file's state; raise `ContentNotHere` if it is another version then."""
        if held and stamp == self._stamp:
            return
        matched = match(self._snapshot, stamp, self._machine, held=held)
        if matched is Match.GROWN and self._is_witnessed():
            matched = Match.SAME
        if matched is not Match.SAME and not (held and self._is_renamed(stamp)):
            raise ContentNotHere("the file was written over")
        self._stamp, self._path = stamp, disk.path_of(self._descriptor)

    def duplicate(self) -> int:
        """Return another descriptor of the file; raise `FilesUnavailable` when there are no more."""
        return disk.duplicate(self._descriptor)

    def close(self) -> None:
        disk.close(self._descriptor)

    def _is_renamed(self, stamp: FileStamp) -> bool:
        """Return whether a rename alone explains the change of the file."""
        return stamp[:4] == self._stamp[:4] and disk.path_of(self._descriptor) != self._path

    def _is_witnessed(self) -> bool:
        def read(start: int, stop: int) -> bytes:
            return disk.read_range(self._descriptor, start, stop)

        return witness_of(self._snapshot.size_bytes, read) == self._snapshot.witness


class OpenFiles:
    """A bounded cache of open files by content, for all stores of a process; it shrinks when descriptors run out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: LruCache[str, OpenFile] = LruCache(most, lambda file: file.close())
        self.verified: LruCache[tuple[bytes, int], bytes] = LruCache(_VERIFIED_BYTES)

    def get(self, content: str) -> OpenFile | None:
        return self._files.get(content)

    def put(self, content: str, file: OpenFile) -> None:
        """Keep an open file, and close the least recently used one if there are too many."""
        self._files.put(content, file)

    def drop(self, content: str) -> None:
        self._files.drop(content)

    def shed(self) -> bool:
        """Close the least recently used half; return whether there was any."""
        return self._files.shrink()

    def clear(self) -> None:
        self._files.clear()
        self.verified.clear()
