"""SIGUSR2: the running program is started again, from what is installed now, to take over from this process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

TAKEOVER = "--takeover"


class SuccessorProcess:
    """At most one at a time; `report` is told when it ends before it has taken over."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._watched: int | None = None  # a descriptor of the process

    def start(self) -> None:
        """Start it, unless one is just starting; what keeps it from that is told, and changes nothing."""
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
        """It is on its own from now on."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None
