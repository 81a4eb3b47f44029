"""The files below a root, by path and by content: what is handed out is always of exactly one version."""

from __future__ import annotations

import os
from dataclasses import dataclass

from trickleweb.files import disk
from trickleweb.files.contents import Stamp, content_name, parse_content_name
from trickleweb.files.digests import digest_of
from trickleweb.files.errors import ContentNotHere, FilesError, HashPending, NoSuchFile
from trickleweb.files.hashing import Hasher
from trickleweb.files.listing import Entry
from trickleweb.files.paths import is_below_root
from trickleweb.files.recent import Recent

Buffer = bytes | memoryview
_OVERHEAD_BYTES = 500  # of keeping a small file, so that a million empty ones are bounded too


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """Bounds of what a store keeps; all of it can be dropped at any time."""

    small_bytes: int = 65_536  # files up to this size are kept in memory: a copy is cheaper than a descriptor
    memory_bytes: int = 64 << 20  # of small files
    descriptors: int = 256  # of larger files; a quarter of the usual limit of a process
    paths: int = 20_000  # whose last stamp is remembered


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder lies at the path."""


@dataclass(frozen=True, slots=True)
class Version:
    """One exact version of a file, and the stamp it had; `settled`: that stamp tells it from any later version."""

    content: str
    digest: bytes
    stamp: Stamp
    settled: bool


@dataclass(slots=True)
class _OpenFile:
    """A larger file, open; `stamp` is the state in which it was hashed, or seen to be unchanged since."""

    descriptor: int
    digest: bytes
    stamp: Stamp

    def close(self) -> None:
        disk.close(self.descriptor)


class FileStore:
    """Looks files up, and reads them by content name. Small files are memory, larger ones are read from the disk.

    Each read of a larger file is followed by a look at its stamp, so bytes of a file that was changed in place are
    never handed out. A file that was replaced or removed can still be read as long as it is kept open. (Out of reach:
    a program that writes through a memory map, which the kernel stamps only now and then.)
    """

    def __init__(self, root: str | os.PathLike[str], hasher: Hasher, limits: StoreLimits | None = None) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100
        self._hasher = hasher
        self._limits = limits or StoreLimits()
        self._paths: Recent[str, tuple[_State, Version | Folder]] = Recent(self._limits.paths)
        self._small: Recent[str, bytes] = Recent(self._limits.memory_bytes)
        self._large: Recent[str, _OpenFile] = Recent(self._limits.descriptors, _OpenFile.close)
        self.now_s = hasher.now_s

    def full_path(self, path: str) -> str:
        """Where `path`, below the root, lies on the machine."""
        return f"{self._root}/{path}" if path else self._root

    def look(self, path: str) -> Version | Folder:
        """What lies at `path` below the root now; `path` is one that `safe_path` made.

        `NoSuchFile`, `Unreadable`, or `HashPending` where the content is not known yet.
        """
        full_path = self.full_path(path)
        state = _state(*disk.look_at(full_path))
        noted = self._paths.get(path)
        if noted is not None and noted[0] == state:
            return noted[1]
        descriptor = disk.open_below(self._root, full_path)
        try:
            return self._load(path, descriptor)
        finally:
            disk.close(descriptor)

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """The bytes [start, stop) of exactly this content; else `ContentNotHere`, or `HashPending` if not known yet."""
        data = self._held(content, start, stop)
        if data is None:
            self._find(content)
            data = self._held(content, start, stop)
        if data is None:
            raise ContentNotHere("another version lies at its path")
        if len(data) != stop - start:
            raise ContentNotHere("the content is shorter")
        return data

    def entries(self, path: str, limit: int) -> tuple[list[Entry], bool]:
        """At most `limit` visible entries of the folder at `path`, and whether that is all."""
        return disk.entries(self._root, self.full_path(path), limit)

    def drop_caches(self) -> None:
        """Forget all that only makes things faster; versions that are no longer at their path are lost."""
        self._paths.clear()
        self._small.clear()
        self._large.clear()
        self._hasher.forget()

    close = drop_caches

    def _load(self, path: str, descriptor: int) -> Version | Folder:
        stamp, is_folder = disk.look_at(descriptor)
        if is_folder:
            found: Version | Folder = Folder()
        elif stamp.size_bytes <= self._limits.small_bytes:
            found = self._keep_small(path, descriptor, stamp)
        else:
            found = self._keep_large(path, descriptor, stamp)
        if isinstance(found, Folder) or found.settled:
            self._paths.put(path, (_state(stamp, is_folder), found))
        return found

    def _keep_small(self, path: str, descriptor: int, stamp: Stamp) -> Version:
        settled = self._hasher.is_settled(stamp)  # asked before the read: what is written from now on is stamped anew
        data = disk.read_range(descriptor, 0, stamp.size_bytes)
        if disk.stamp_of(descriptor) != stamp or len(data) != stamp.size_bytes:
            raise HashPending("the file changed while it was read")
        content = content_name(digest := digest_of(data), path)
        self._small.put(content, data, len(data) + _OVERHEAD_BYTES)
        return Version(content, digest, stamp, settled)

    def _keep_large(self, path: str, descriptor: int, stamp: Stamp) -> Version:
        digest = self._hasher.digest(descriptor, stamp)
        content = content_name(digest, path)
        self._large.put(content, _OpenFile(disk.duplicate(descriptor), digest, stamp))
        return Version(content, digest, stamp, settled=True)

    def _held(self, content: str, start: int, stop: int) -> Buffer | None:
        """The bytes, if this content is at hand and still what it was; they may be fewer."""
        if (small := self._small.get(content)) is not None:
            return memoryview(small)[start:stop]
        if (file := self._large.get(content)) is None:
            return None
        data = disk.read_range(file.descriptor, start, stop)
        stamp = disk.stamp_of(file.descriptor)  # after the read: a write stamps the file before it changes a byte
        if stamp == file.stamp:
            return data
        if not self._is_same(file, stamp):
            self._large.drop(content)
            return None
        file.stamp = stamp
        return self._held(content, start, stop)

    def _is_same(self, file: _OpenFile, stamp: Stamp) -> bool:
        """Whether an open file whose stamp changed (renamed, unlinked, touched) still has the same bytes."""
        return stamp.size_bytes == file.stamp.size_bytes and self._hasher.digest(file.descriptor, stamp) == file.digest

    def _find(self, content: str) -> None:
        """Load what lies at the content's path: it is held then, if it is this content; `ContentNotHere` if nothing."""
        try:
            _, path = parse_content_name(content)
            if not is_below_root(path):
                raise NoSuchFile("no path below the root")
            self._paths.drop(path)
            self.look(path)
        except HashPending:
            raise
        except FilesError as exc:
            raise ContentNotHere(str(exc)) from None


_State = Stamp | tuple[int, int]  # what must not have changed for a path to lead to the same


def _state(stamp: Stamp, is_folder: bool) -> _State:
    return stamp[:2] if is_folder else stamp
