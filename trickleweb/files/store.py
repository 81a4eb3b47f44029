"""The files below a root, by path and by content: each result is of exactly one version."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from errno import ESTALE
from typing import TypeVar

from trickleweb.cache import LruCache
from trickleweb.files import disk
from trickleweb.files.digests import Hashes, content_name, digest_of, parse_content_name, this_boot
from trickleweb.files.disk import file_budget
from trickleweb.files.errors import ContentNotHere, FilesError, FilesUnavailable, HashPending, NoSuchFile
from trickleweb.files.hashing import Hasher
from trickleweb.files.manifest import Manifest
from trickleweb.files.openfiles import HashedFile, OpenFiles, SnapshotFile
from trickleweb.files.paths import is_below_root
from trickleweb.files.restless import Restless
from trickleweb.files.snapshots import is_snapshot, parse_snapshot, snapshot_of
from trickleweb.files.stamps import FileStamp
from trickleweb.files.tree import Root, Tree

Buffer = bytes | memoryview
_OVERHEAD_BYTES = 500  # of a small file, so that a million empty ones are bounded too
_TRIES = 3  # at reading a file that is being written
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """Bounds of a store's caches, which can be dropped at any time."""

    small_bytes: int = 65_536  # larger files are kept open, smaller ones in memory
    memory_bytes: int = 64 << 20  # of small files
    descriptors: int = field(default_factory=file_budget)  # of larger files
    paths: int = 20_000  # with a remembered stamp


@dataclass(frozen=True, slots=True)
class FoundFolder:
    """A folder at the path."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file, and its stamp; `settled`: that stamp distinguishes it from any later version.

    `digest` is None for a file without a hash yet. `changing`: it is being written, and this is its beginning.
    """

    content: str
    digest: bytes | None
    stamp: FileStamp
    settled: bool
    changing: bool = False


class FileStore:
    """Finds files by path, and reads them by content name. Small files are in memory, larger ones on disk.

    A large file is served at once: under the name of a snapshot until it is hashed, then under its strong name.
    Where a `manifest` has its hashes, it has that name at once, and each block is compared with them.
    `open_files` may be shared by several stores.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        hasher: Hasher,
        limits: StoreLimits | None = None,
        open_files: OpenFiles | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        self._root = Root(root)
        self._hasher = hasher
        self._limits = limits or StoreLimits()
        self._paths: LruCache[str, tuple[_State, Version | FoundFolder]] = LruCache(self._limits.paths)
        self._small: LruCache[str, bytes] = LruCache(self._limits.memory_bytes)
        self._files = open_files or OpenFiles(self._limits.descriptors)
        self._restless = Restless(hasher.now_ns)
        self._manifest = manifest or Manifest({})
        self.root_path = self._root.path
        self.now_ns, self.now_s, self.is_settled = hasher.now_ns, hasher.now_s, hasher.is_settled

    def retried(self, action: Callable[[Tree], T]) -> T:
        """Return what `action` gives for the folder as it is now, retried with fewer files open if descriptors run out.

        All lookups of one request are done in one `action`, so that they see one tree. Raise what `action` raises;
        `FilesUnavailable` where there is no such folder.
        """
        reopened = False
        while True:
            try:
                return action(self._root.tree())
            except FilesUnavailable as error:
                if error.errno == ESTALE and not reopened:
                    reopened = True
                    self._root.forget()
                elif error.errno not in disk.SHORTAGES or not self._files.shed():
                    raise

    def look(self, path: str, folder: Tree | None = None, name: str | None = None) -> Version | FoundFolder:
        """Return the file or folder at `path` below the root; `path` comes from `safe_path`.

        With `folder`, the file there called `name`. Raise `NoSuchFile`, `Unreadable`, `FilesUnavailable`; `HashPending`
        for a large file that was written a moment ago: ask again soon.
        """

        at = path if name is None else name
        if folder is not None:
            return self._look(path, folder, at)
        return self.retried(lambda tree: self._look(path, tree, at))

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """Return the bytes [start, stop) of exactly this content; raise `ContentNotHere`.

        `HashPending` while that is unknown, `FilesUnavailable` for errors of the disk.
        """
        data = self._held(content, start, stop)
        if data is None:
            self.retried(lambda tree: self._find(content, tree))
            data = self._held(content, start, stop)
        if data is None:
            raise ContentNotHere("another version is at its path")
        if len(data) != stop - start:
            raise ContentNotHere("the content is shorter")
        return data

    def strong_name(self, content: str) -> str | None:
        """Return the name by hash of a content without one, once its file is hashed.

        The file that is open here is read, even if another one lies at its path by now.
        """
        file = self._files.get(content)
        if not isinstance(file, SnapshotFile):
            return None
        snapshot, path = parse_snapshot(content)
        hashes = self._hasher.recall(file.stamp) if file.stamp.size_bytes == snapshot.size_bytes else None
        if hashes is None:
            return None
        strong = content_name(hashes.digest, path)
        try:
            if self._files.get(strong) is None:
                self._keep_hashed(strong, file.duplicate(), file.stamp, hashes)
        except FilesUnavailable:  # no descriptor left: a later call succeeds
            return None
        return strong

    def drop_caches(self) -> None:
        """Drop all caches; versions that are no longer at their path are lost."""
        self._root.forget()
        self._paths.clear()
        self._small.clear()
        self._files.clear()
        self._hasher.forget()

    close = drop_caches

    # by path

    def _look(self, path: str, folder: Tree, name: str) -> Version | FoundFolder:
        state = _state(*disk.look_at(name or ".", folder.descriptor))
        noted = self._paths.get(path)
        if noted is not None and noted[0] == state:
            return noted[1]
        descriptor = folder.open(name)
        try:
            return self._load(path, descriptor)
        finally:
            disk.close(descriptor)

    def _load(self, path: str, descriptor: int) -> Version | FoundFolder:
        stamp, is_folder = disk.look_at(descriptor)
        if is_folder:
            found: Version | FoundFolder = FoundFolder()
        else:
            found = self._version(path, descriptor, stamp)
        if isinstance(found, FoundFolder) or (found.settled and found.digest is not None):
            self._paths.put(path, (_state(stamp, is_folder), found))
        return found

    def _version(self, path: str, descriptor: int, stamp: FileStamp) -> Version:
        hasher, small = self._hasher, stamp.size_bytes <= self._limits.small_bytes
        if not small and (known := hasher.recall(stamp)) is not None:
            self._manifest.compare(path, stamp.size_bytes, known.digest)
            return self._hashed(path, descriptor, stamp, known)
        settled, quick = hasher.is_settled(stamp), hasher.is_quick(stamp)
        try:
            if small or (quick and not settled and stamp.size_bytes <= hasher.inline_bytes):
                return self._in_memory(path, descriptor)
            if settled and quick:
                return self._hashed(path, descriptor, stamp, hasher.compute(descriptor, stamp))
        except HashPending:  # it is being written
            settled = False
        if settled:
            self._restless.rests(stamp)
            hasher.begin(descriptor, stamp)
            if (claimed := self._manifest.claim(path, stamp.size_bytes)) is not None:
                return self._claimed(path, descriptor, stamp, claimed)
        else:
            self._restless.check(stamp)
        return self._begun(path, descriptor, stamp, settled=settled)

    def _in_memory(self, path: str, descriptor: int) -> Version:
        for _ in range(_TRIES):
            stamp = disk.stamp_of(descriptor)
            settled = self._hasher.is_settled(stamp)  # before the read: later writes get a new stamp
            data = disk.read_range(descriptor, 0, stamp.size_bytes)
            if len(data) == stamp.size_bytes and disk.stamp_of(descriptor) == stamp:
                content = content_name(digest := digest_of(data), path)
                self._small.put(content, data, len(data) + _OVERHEAD_BYTES)
                return Version(content, digest, stamp, settled)
        raise HashPending("the file changed while it was read")

    def _hashed(self, path: str, descriptor: int, stamp: FileStamp, hashes: Hashes) -> Version:
        content = content_name(hashes.digest, path)
        self._keep_hashed(content, disk.duplicate(descriptor), stamp, hashes)
        return Version(content, hashes.digest, stamp, settled=True)

    def _claimed(self, path: str, descriptor: int, stamp: FileStamp, claimed: Hashes) -> Version:
        """Return the version that the manifest names; no state of the file is known to have that content."""
        content = content_name(claimed.digest, path)
        held = self._files.get(content)
        if not (isinstance(held, HashedFile) and held.is_of(stamp)):
            self._keep_hashed(content, disk.duplicate(descriptor), stamp, claimed, unseen=True)
        return Version(content, claimed.digest, stamp, settled=False)

    def _keep_hashed(
        self, content: str, descriptor: int, stamp: FileStamp, hashes: Hashes, *, unseen: bool = False
    ) -> None:
        file = HashedFile(descriptor, stamp, hashes, self._hasher, self._files.verified, unseen=unseen)
        self._files.put(content, file)

    def _begun(self, path: str, descriptor: int, stamp: FileStamp, *, settled: bool) -> Version:
        """Return the version of a file without a hash yet."""

        def read(start: int, stop: int) -> bytes:
            return disk.read_range(descriptor, start, stop)

        machine = this_boot()
        snapshot = snapshot_of(stamp, read, machine, growing=not settled)
        content = snapshot.name(path)
        self._files.put(content, SnapshotFile(disk.duplicate(descriptor), stamp, snapshot, machine))
        return Version(content, None, stamp, settled=False, changing=not settled)

    # by content

    def _held(self, content: str, start: int, stop: int) -> Buffer | None:
        """Return the bytes, perhaps fewer, if this content is held and unchanged."""
        if (small := self._small.get(content)) is not None:
            return memoryview(small)[start:stop]
        if (file := self._files.get(content)) is None:
            return None
        try:
            return file.read(start, stop)
        except ContentNotHere:
            self._files.drop(content)
            if isinstance(file, HashedFile):
                digest, path = parse_content_name(content)
                self._manifest.refute(path, digest)
            return None

    def _find(self, content: str, tree: Tree) -> None:
        """Load the file at the content's path, which holds it if it is this content; raise `ContentNotHere` if it is
        not.
        """
        try:
            if is_snapshot(content):
                self._find_snapshot(content, tree)
                return
            _, path = parse_content_name(content)
            _check_below_root(path)
            self._paths.drop(path)
            found = self._look(path, tree, path)
            if isinstance(found, Version) and found.digest is None and not self._hasher.gave_up(found.stamp):
                raise HashPending("the file is being hashed")
        except (HashPending, FilesUnavailable):
            raise
        except FilesError as exc:
            raise ContentNotHere(str(exc)) from None

    def _find_snapshot(self, content: str, tree: Tree) -> None:
        snapshot, path = parse_snapshot(content)
        _check_below_root(path)
        descriptor = tree.open(path)
        try:
            stamp = disk.stamp_of(descriptor)
            file = SnapshotFile(descriptor, stamp, snapshot, this_boot())
            file.check(stamp, held=False)
        except BaseException:
            disk.close(descriptor)
            raise
        self._files.put(content, file)


def _check_below_root(path: str) -> None:
    if not is_below_root(path):
        raise NoSuchFile("no path below the root")


_State = FileStamp | tuple[int, int]  # unchanged while a path leads to the same file or folder


def _state(stamp: FileStamp, is_folder: bool) -> _State:
    return stamp[:2] if is_folder else stamp
