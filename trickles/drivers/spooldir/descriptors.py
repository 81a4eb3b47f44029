"""Descriptors of one read: few at a time, whatever the number of logs."""

from __future__ import annotations

import os

from trickles.drivers.spooldir.log import open_regular

MOST_OPEN = 8


class Descriptors:
    """A cache of open logs, of which the oldest is closed when there are too many."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def close(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def of(self, path: str) -> int:
        """Return a descriptor of that file, valid until the next call; OSError for anything but a regular file."""
        descriptor = self._open.get(path)
        if descriptor is None:
            if len(self._open) >= MOST_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            descriptor = self._open[path] = open_regular(path, os.O_RDONLY)
        return descriptor
