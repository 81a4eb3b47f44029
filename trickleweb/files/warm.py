"""Hashing a whole tree ahead of its first request, in steps, so that whoever drives it can show progress and go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from trickleweb.files import digests, disk
from trickleweb.files.errors import FilesError
from trickleweb.files.paths import WELL_KNOWN
from trickleweb.files.stamps import FileStamp
from trickleweb.files.tree import Root, Tree


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a walk has come; `path` is the file just done, below the root."""

    path: str
    files: int
    size_bytes: int


def warm(
    root: str | os.PathLike[str],
    learn: Callable[[int, FileStamp, digests.Progress], object],
    *,
    above_bytes: int,
    within: Callable[[str, int, int], None] = lambda _path, _done, _total: None,
) -> Iterator[Progress]:
    """Have `learn` work out the digest of each visible file above `above_bytes`, an open one for each step.

    Smaller ones need none. `within` is told of a file (its path below the root), the bytes of it that are hashed, and
    the bytes it has. Links are not followed: what they lead to is found where it lies, or hashed when it is asked for.
    """
    files = size_bytes = 0
    tree = Root(root).tree()
    for path, size in _files(tree):
        try:
            if size > above_bytes:
                _learn(tree, path, learn, partial(within, path))
        except (FilesError, OSError):  # gone, unreadable or being written: its first request will tell
            continue
        files, size_bytes = files + 1, size_bytes + size
        yield Progress(path, files, size_bytes)


def _learn(
    tree: Tree, path: str, learn: Callable[[int, FileStamp, digests.Progress], object], progress: digests.Progress
) -> None:
    descriptor = tree.open(path)
    try:
        learn(descriptor, disk.stamp_of(descriptor), progress)
    finally:
        disk.close(descriptor)


def _files(tree: Tree) -> Iterator[tuple[str, int]]:
    """The files below a folder with their sizes, by name; those in a folder before those in folders in it."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        prefix, inner = f"{folder}/" if folder else "", list[str]()
        for name, is_folder, size in sorted(_entries(tree, folder)):
            if not is_folder:
                yield prefix + name, size
            elif not name.startswith(".") or name == WELL_KNOWN:
                inner.append(prefix + name)
        waiting += reversed(inner)


def _entries(tree: Tree, folder: str) -> list[tuple[str, bool, int]]:
    """The names in a folder, whether they are folders, and the sizes of files; none if it cannot be read now."""
    found = list[tuple[str, bool, int]]()
    try:
        descriptor = tree.open(folder, disk.OPEN_FLAGS | os.O_DIRECTORY)
    except FilesError:
        return found
    try:
        with suppress(OSError), os.scandir(descriptor) as scan:
            for each in scan:
                with suppress(OSError):  # gone since
                    found += _entry(each)
    finally:
        disk.close(descriptor)
    return found


def _entry(found: os.DirEntry[str]) -> list[tuple[str, bool, int]]:
    if found.is_dir(follow_symlinks=False):
        return [(found.name, True, 0)]
    if found.is_file(follow_symlinks=False) and not found.name.startswith("."):
        return [(found.name, False, found.stat(follow_symlinks=False).st_size)]
    return []
