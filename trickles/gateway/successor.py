"""SIGUSR2: the running program is started again, from what is installed now, to take over from this process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

TAKEOVER = "--takeover"


class SuccessorProcess:
    """At most one at a time; an end before it has taken over is reported."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._watched: int | None = None  # a descriptor of the process

    def start(self) -> None:
        """Start it, unless one is just starting; failures are reported, and change nothing."""
        if self._watched is not None:
            return
        words = [sys.executable, *sys.orig_argv[1:]]
        try:
            pid = os.posix_spawn(sys.executable, [*words, *([] if TAKEOVER in words else [TAKEOVER])], os.environ)
            self._watched = os.pidfd_open(pid)
        except OSError as error:
            self._report(f"no successor: {error.strerror}")
            return
        asyncio.get_running_loop().add_reader(self._watched, self._ended, pid)

    def _ended(self, pid: int) -> None:
        self.forget()
        _, status = os.waitpid(pid, 0)
        self._report(f"the successor ended, with {os.waitstatus_to_exitcode(status)}: this gateway goes on")

    def forget(self) -> None:
        """Leave it on its own from now on."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None
