"""Files that one reading has open: few at a time, whatever the number of logs is."""

from __future__ import annotations

import os

from trickles.drivers.spooldir.log import open_regular

MOST_OPEN = 8


class Descriptors:
    """Opens logs as they are asked for, and closes the one that was opened first when there are too many."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def close(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def of(self, path: str) -> int:
        """A descriptor of that file, good until the next call; OSError for what is not a regular file."""
        descriptor = self._open.get(path)
        if descriptor is None:
            if len(self._open) >= MOST_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            descriptor = self._open[path] = open_regular(path, os.O_RDONLY)
        return descriptor
