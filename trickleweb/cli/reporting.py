"""Reports of a replica: figures in a file whenever they have changed, errors on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from trickles.drivers import bookkeeping
from trickles.drivers.bookkeeping import KeptFile
from trickles.drivers.replica import Replica
from trickles.printable import one_line
from trickleweb.cli.warming import Warming

_ERRORS_PER_SECOND = 5


class Counting(Protocol):
    """A server that counts the responses it began, by status."""

    @property
    def statuses(self) -> Counter[int]:
        """The counts so far."""


class Reporter:
    """Reads the counters of a replica; none of them identifies a client."""

    def __init__(self, replica: Replica, origin: Counting, path: Path | None) -> None:
        self._replica = replica
        self._origin = origin
        self._file = None if path is None else KeptFile(path, to_stderr)
        self._started = time.time()
        self._errors = 0
        self.admin = ""  # address of the admin port
        self.more: list[Callable[[], dict[str, object]]] = []  # further figures, for this kind of replica

    def figures(self) -> dict[str, object]:
        """Return the counts since this process started; bytes are those of datagrams sent. Thread-safe."""
        counters, statuses = dict(self._replica.listener.counters), dict(self._origin.statuses)
        return {
            "pid": os.getpid(),
            "started": int(self._started),
            "packets_in": self._replica.packets_in,
            "packets_out": self._replica.packets_out,
            "bytes_out": self._replica.bytes_out,
            "requests": sum(statuses.values()),
            "refusals": sum(count for name, count in counters.items() if name.startswith("refused.")),
            "statuses": {str(status): count for status, count in sorted(statuses.items())},
            "transport": dict(sorted(counters.items())),
            "failures": dict(bookkeeping.failures),
            **({"admin": self.admin} if self.admin else {}),
            **{name: value for more in self.more for name, value in more().items()},
        }

    def write(self, warming: Warming | None) -> None:
        """Write the figures, if a file was named and they have changed or it is gone."""
        if self._file is None:
            return
        looked_through = {} if warming is None else {"hashed_files": warming.progress.files, "hashed": warming.done}
        self._file.put(json.dumps({**self.figures(), **looked_through}))

    def forgive(self) -> None:
        """Reset the limit of reported errors; called each second."""
        self._errors = 0

    def error(self, error: Exception) -> None:
        """Report an error of the site on stderr; only some each second, since clients can cause them."""
        self._errors += 1
        if self._errors <= _ERRORS_PER_SECOND:
            where = traceback.extract_tb(error.__traceback__)[-1:]
            place = f" ({Path(where[0].filename).name}:{where[0].lineno})" if where else ""
            to_stderr(f"{type(error).__name__}: {error}{place}")


def to_stderr(text: str) -> None:
    print(one_line(text), file=sys.stderr)
