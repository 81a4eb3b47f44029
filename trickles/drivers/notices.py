"""Notices to the service manager that started this process, by the protocol of sd_notify(3).

The manager names a datagram socket in NOTIFY_SOCKET (a path, or an abstract name after `@`), and in WATCHDOG_USEC the
time after which a silent process counts as stuck. Without them nothing is sent. Sending never waits and never raises; a
notice that is owed is sent again at the next look.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

NEVER = float("inf")
_SOCKET, _WATCHDOG, _WATCHED = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class ManagerNotices:
    """The process's states for its manager. `look`, called at least each `every` seconds, shows that it is alive.

    The variables are removed from `environ`, so that children do not speak for this process, unless `inherited`.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ, *, inherited: bool = False) -> None:
        take = environ.get if inherited else environ.pop
        place, watchdog, watched = (take(name, "") for name in (_SOCKET, _WATCHDOG, _WATCHED))
        self._place = f"\0{place[1:]}" if place.startswith("@") else place if place.startswith("/") else ""
        due = watched in ("", str(os.getpid())) and watchdog.isascii() and watchdog.isdecimal() and len(watchdog) < 16
        self.every = max(int(watchdog) / 2e6, 0.001) if self._place and due else NEVER
        self._owed = ""

    def ready(self) -> None:
        """Sockets are bound, and requests are answered; a successor becomes the service's main process."""
        self._owe(f"READY=1\nMAINPID={os.getpid()}")

    def reloading(self) -> None:
        """Files are read again; the next look reports the end of that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._owed = "READY=1"

    def stopping(self) -> None:
        """The process ends, perhaps after requests that it runs."""
        self._owe("STOPPING=1")

    def leave(self) -> None:
        """Another process is the service now: say no more."""
        self._place = ""

    def look(self) -> None:
        """Send what is owed, and that the process is alive."""
        if self._owed:
            self._owe(self._owed)
        if self.every != NEVER:
            self._send("WATCHDOG=1")

    def _owe(self, state: str) -> None:
        self._owed = "" if self._send(state) else state

    def _send(self, state: str) -> bool:
        """Return False if the manager could not take it now."""
        if not self._place:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(state.encode(), self._place)
        except OSError:  # full, gone, or a name that is too long
            return False
        return True
