"""Entries of a folder: names, kinds, sizes and times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from trickleweb.files import disk
from trickleweb.files.beneath import PLACE
from trickleweb.files.errors import FilesError, FilesUnavailable
from trickleweb.files.listing import Entry
from trickleweb.files.paths import is_listed
from trickleweb.files.tree import Tree

_LOOK = disk.OPEN_FLAGS | os.O_DIRECTORY
_UNSEEN = -1  # the size of an entry without a stamp


class TooMany(Exception):
    """A folder has more entries than the bound."""


def entries(folder: Tree, most: int, *, detailed: bool, step: Callable[[], None] = lambda: None) -> list[Entry]:
    """Return all files and folders that requests can name, unsorted; raise `TooMany` if there are more than `most`.

    Links out of the root are left out. Only `detailed` entries have sizes and times; see `seen`. Raise `NoSuchFile`,
    `Unreadable` or `FilesUnavailable` for a folder that cannot be read. `step` is called before each entry.
    """
    descriptor = folder.open("", _LOOK)
    try:
        with os.scandir(descriptor) as scan:
            return list(_entries(folder, scan, most, detailed=detailed, step=step))
    except OSError as exc:
        raise disk.translated(exc) from None
    finally:
        disk.close(descriptor)


def _entries(
    folder: Tree, scan: Iterator[os.DirEntry[str]], most: int, *, detailed: bool, step: Callable[[], None]
) -> Iterator[Entry]:
    for at, each in enumerate(scan):
        step()
        if at >= most:
            raise TooMany
        if is_listed(each.name) and (entry := _entry(folder, each, detailed=detailed)) is not None:
            yield entry


def _entry(folder: Tree, found: os.DirEntry[str], *, detailed: bool) -> Entry | None:
    if found.is_symlink() and not _is_inside(folder, found.name):
        return None
    if not detailed and not found.is_symlink():
        is_folder = found.is_dir(follow_symlinks=False)
        if is_folder or found.is_file(follow_symlinks=False):
            return Entry(found.name, is_folder, _UNSEEN, 0)
        return None
    return _looked_at(folder, found.name)


def seen(folder: Tree, entry: Entry) -> Entry | None:
    """Return an entry with its size and time, None if it is gone."""
    return entry if entry.size_bytes != _UNSEEN else _looked_at(folder, entry.name)


def _looked_at(folder: Tree, name: str) -> Entry | None:
    try:
        stamp, is_folder = disk.look_at(name, folder.descriptor)
    except FilesUnavailable:
        raise
    except FilesError:  # a link to nowhere, or gone since
        return None
    return Entry(name, is_folder, 0 if is_folder else stamp.size_bytes, stamp.modified_s)


def _is_inside(folder: Tree, name: str) -> bool:
    try:
        disk.close(folder.open(name, PLACE))
    except FilesUnavailable:
        raise
    except FilesError:
        return False
    return True
