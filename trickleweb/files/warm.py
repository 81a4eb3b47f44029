"""Hash a whole tree ahead of its first requests, in steps, so that the caller can show progress."""

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
    """Progress of a walk; `path` is the last file done, below the root."""

    path: str
    files: int
    size_bytes: int


def warm(
    root: str | os.PathLike[str],
    hash_file: Callable[[int, FileStamp, digests.Progress], object],
    *,
    above_bytes: int,
    within: Callable[[str, int, int], None] = lambda _path, _done, _total: None,
    failed: Callable[[str, Exception], None] = lambda _path, _error: None,
) -> Iterator[Progress]:
    """Yield after each file, having called `hash_file` for visible ones above `above_bytes`.

    Smaller files need no hash ahead. `within` gets a file's path below the root, the bytes of it hashed, and its size;
    `failed` gets the path of a file that cannot be hashed, and the error. Links are not followed: their
    targets are hashed at their own place, or on request.
    """
    files = size_bytes = 0
    tree = Root(root).tree()
    for path, size in _files(tree):
        try:
            if size > above_bytes:
                _hash(tree, path, hash_file, partial(within, path))
        except (FilesError, OSError) as error:  # gone, unreadable or being written: left to its first request
            failed(path, error)
            continue
        files, size_bytes = files + 1, size_bytes + size
        yield Progress(path, files, size_bytes)


def _hash(
    tree: Tree, path: str, hash_file: Callable[[int, FileStamp, digests.Progress], object], progress: digests.Progress
) -> None:
    descriptor = tree.open(path)
    try:
        hash_file(descriptor, disk.stamp_of(descriptor), progress)
    finally:
        disk.close(descriptor)


def _files(tree: Tree) -> Iterator[tuple[str, int]]:
    """Yield the files below a folder with their sizes, by name; a folder's own before those of its subfolders."""
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
    """Return a folder's names, whether they are folders, and file sizes; empty if it cannot be read."""
    found = list[tuple[str, bool, int]]()
    try:
        descriptor = tree.open(folder, disk.OPEN_FLAGS | os.O_DIRECTORY)
    except FilesError:
        return found
    try:
        with suppress(OSError), os.scandir(descriptor) as scan:
            for each in scan:
                with suppress(OSError):  # removed
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
