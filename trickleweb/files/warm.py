"""Hashing a whole tree ahead of its first request, in steps, so that whoever drives it can show progress and go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trickleweb.files import digests, disk
from trickleweb.files.errors import FilesError
from trickleweb.files.hashing import Hasher
from trickleweb.files.paths import WELL_KNOWN
from trickleweb.files.tree import Root, Tree


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a walk has come; `path` is the file just done, below the root."""

    path: str
    files: int
    size_bytes: int


def warm(
    root: str | os.PathLike[str],
    hasher: Hasher,
    *,
    above_bytes: int,
    within: Callable[[str, int, int], None] = lambda _path, _done, _total: None,
) -> Iterator[Progress]:
    """Work out the digest of each visible file larger than `above_bytes`, one for each step; small ones need none.

    `within` is told of a file (its path below the root), the bytes of it that are hashed, and the bytes it has.
    Links are not followed: what they lead to is found where it lies, or hashed when it is asked for.
    """
    files = size_bytes = 0
    tree = Root(root).tree()
    for path in _files(str(root)):
        name = os.path.relpath(path, root)
        try:
            size = _warm(tree, name, hasher, above_bytes, partial(within, name))
        except (FilesError, OSError):  # gone, unreadable or being written: its first request will tell
            continue
        files, size_bytes = files + 1, size_bytes + size
        yield Progress(name, files, size_bytes)


def _warm(tree: Tree, path: str, hasher: Hasher, above_bytes: int, progress: digests.Progress) -> int:
    stamp, _ = tree.look_at(path)
    if stamp.size_bytes > above_bytes:
        descriptor = tree.open(path)
        try:
            hasher.hashes(descriptor, disk.stamp_of(descriptor), progress)
        finally:
            disk.close(descriptor)
    return stamp.size_bytes


def _files(root: str) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") or name == WELL_KNOWN)
        paths = (f"{folder}/{name}" for name in sorted(names) if not name.startswith("."))
        yield from (path for path in paths if not Path(path).is_symlink())
