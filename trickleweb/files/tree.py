"""The served folder, opened: all lookups of one request go through one of its descriptors, and so see one tree.

Where the root is a link that is switched to another tree in one step, each request sees the tree before or the one
after, never a mix. The same holds for a folder inside it: a file and its siblings are found by one descriptor.
"""

# ruff: noqa: PTH116
from __future__ import annotations

import os
from contextlib import suppress

from trickleweb.files import disk
from trickleweb.files.beneath import FOLDER, open_beneath
from trickleweb.files.errors import FilesUnavailable, NoSuchFile


class Tree:
    """An open folder, for opens below it and for lookups by its `descriptor`; it is closed with its last reference."""

    def __init__(self, descriptor: int, root: Tree | None = None) -> None:
        self.descriptor = descriptor
        self._root = root  # the folder that bounds all paths, None for itself

    def open(self, path: str, flags: int = disk.OPEN_FLAGS) -> int:
        """Open a path below this folder, or "" for itself; the caller closes it.

        Raise `NoSuchFile` if it lies outside the root, every link followed.
        """
        try:
            return open_beneath(self.descriptor, (self._root or self).descriptor, path or ".", flags)
        except OSError as exc:
            raise disk.translated(exc) from None
        except ValueError as exc:
            raise NoSuchFile(str(exc)) from None

    def folder(self, path: str) -> Tree:
        """Return the folder at a path below this one; this one for ""."""
        return Tree(self.open(path, FOLDER), self._root or self) if path else self

    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self.descriptor)


class Root:
    """A served folder by its path, which may lead to another folder at any time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(path)  # noqa: PTH100
        self._tree: Tree | None = None
        self._identity: tuple[int, int] | None = None

    def tree(self) -> Tree:
        """Return the folder that the path leads to now, opened; raise `FilesUnavailable` where it leads to none."""
        try:
            found = os.stat(self.path)
            if self._tree is None or (found.st_dev, found.st_ino) != self._identity:
                self._tree = self._identity = None
                tree = Tree(os.open(self.path, FOLDER))
                opened = os.fstat(tree.descriptor)
                self._tree, self._identity = tree, (opened.st_dev, opened.st_ino)
        except OSError as exc:
            raise FilesUnavailable(f"the served folder cannot be opened: {exc}", exc.errno or 0) from None
        assert self._tree is not None
        return self._tree

    def forget(self) -> None:
        """Reopen the folder at the next lookup, as its descriptor is stale."""
        self._tree = self._identity = None
