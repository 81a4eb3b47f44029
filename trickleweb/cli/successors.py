"""Processes that took over from a child of the supervisor, found by the socket that they listen at, never by a file.

The process that listens at a gateway's control socket runs and serves, and the kernel names its pid and user
(SO_PEERCRED of unix(7)). A pid in a file may be anyone's: of a process that ended long ago, in a restored copy of the
run directory, or -1. A process that is found is held by a descriptor (pidfd_open(2)), verified once that is open, and
waited for and signalled through it alone: no signal ever goes to a number.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

from trickles.gateway.handover import asked_who_listens

_Place = tuple[int, int, int]  # device, inode and change time of a control socket: another one for each gateway


class Successor:
    """A running process that need not be this one's child; `pid` is for display."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._over = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._ended)

    async def wait(self) -> None:
        await self._over.wait()

    def send_signal(self, number: int) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):
                signal.pidfd_send_signal(self._descriptor, number)

    async def end(self, grace: float) -> None:
        """End it: SIGTERM, then SIGKILL after `grace` seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self.wait()
                return

    def close(self) -> None:
        """Stop watching it."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _ended(self) -> None:
        self.close()
        self._over.set()


class Successors:
    """Finds the process that listens at a control socket; one stat(2) a call until another process listens there."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._seen: _Place | None = None

    def find(self, known_pid: int, *, always: bool = False) -> Successor | None:
        """Return the listening process, if it is another than the known one; `always` asks even if the socket is the
        same.

        None also when that is unknown now: a later call may find it.
        """
        place = self._place()
        if place is None or (place == self._seen and not always):
            return None
        pid = asked_who_listens(self._control)
        if pid is None:
            return None
        if pid == known_pid:
            self._seen = place
            return None
        if (found := self._verified(pid)) is not None:
            self._seen = place
        return found

    def _verified(self, pid: int) -> Successor | None:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return None
        if asked_who_listens(self._control) != pid:  # it ended before it was held: the pid may be reused
            os.close(descriptor)
            return None
        return Successor(pid, descriptor)

    def _place(self) -> _Place | None:
        try:
            status = self._control.lstat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino, status.st_ctime_ns) if stat.S_ISSOCK(status.st_mode) else None
