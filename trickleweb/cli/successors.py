"""Processes that took over from a child of the supervisor: found by the socket that they listen at, never by a file.

Whoever listens at a gateway's control socket runs and serves, and the kernel says its pid and its user (SO_PEERCRED of
unix(7)). A pid in a file may be anybody's: of a process that ended long ago, in a copy of the run directory that was
put back, or -1. What is found is held by a descriptor (pidfd_open(2)), looked at again once that is open, and waited
for and signalled through it alone: no signal ever goes to a number.
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
    """A running process that need not be this one's child; `pid` is for people."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._over = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._ended)

    async def wait(self) -> None:
        """Wait for its end."""
        await self._over.wait()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self._descriptor >= 0:
            with suppress(OSError):
                signal.pidfd_send_signal(self._descriptor, number)

    async def end(self, grace: float) -> None:
        """End it: it is asked to, and made to if it has not after `grace` seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self.wait()
                return

    def close(self) -> None:
        """Watch it no longer."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _ended(self) -> None:
        self.close()
        self._over.set()


class Successors:
    """Finds who listens at a control socket now; a look costs one stat(2) until another process listens there."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._seen: _Place | None = None

    def find(self, known_pid: int, *, anew: bool = False) -> Successor | None:
        """Who listens there, if it is another process than the known one; `anew` asks even if the socket is the same.

        None also when that cannot be told now: a later look may.
        """
        place = self._place()
        if place is None or (place == self._seen and not anew):
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
        if asked_who_listens(self._control) != pid:  # it ended before it was held: the number may be another's
            os.close(descriptor)
            return None
        return Successor(pid, descriptor)

    def _place(self) -> _Place | None:
        try:
            status = self._control.lstat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino, status.st_ctime_ns) if stat.S_ISSOCK(status.st_mode) else None
