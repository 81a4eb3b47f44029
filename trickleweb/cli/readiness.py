"""The line that a replica prints when it is ready: the first of its standard output, whatever a program prints.

Programs print when they are imported, put streams of their own in place of `sys.stdout`, or close it. So standard
output leads to standard error until the line is printed, and the line goes through a descriptor that no program knows.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from trickles.drivers.bookkeeping import Outlet, flush_standard_streams

_OUTPUT, _ERRORS = 1, 2


def say(line: str) -> None:
    """Print the line on standard output, of a process that runs no program."""
    print(line, flush=True)


class KeptOutput:
    """Standard output, kept for one line from now on; what others print before goes to standard error."""

    def __init__(self) -> None:
        flush_standard_streams()
        self._descriptor = os.dup(_OUTPUT)  # programs that are started meanwhile do not get it
        os.dup2(_ERRORS, _OUTPUT)

    def say(self, line: str) -> None:
        """Print the line, and let standard output be what it was; never raises for what became of the streams."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # it may be anything by now
                stream.flush()
        Outlet(self._descriptor).write(f"{line}\n".encode())
        with suppress(OSError):
            os.dup2(self._descriptor, _OUTPUT)
            os.close(self._descriptor)
