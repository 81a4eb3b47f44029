"""Datagrams by which the replicas of one machine wake each other: "look at the store".

Each process binds a Unix datagram socket of a random name in one private directory; `ring` sends an empty datagram to
all others there. A datagram is a hint: a full socket already has one to read, and a process that needs certainty looks
at the store from time to time. The socket of a dead process refuses datagrams, and is removed by the next that rings.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from trickles.drivers.ownership import PRIVATE, check_directory
from trickles.drivers.unshared import unshared

_LOOK_AGAIN = 64  # rings between two looks at a directory whose time of change stays


class Bell:
    """This process's socket in the directory, made if missing; raises OSError, or UnsafePlace for a public one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        check_directory(folder, PRIVATE)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = secrets.token_hex(8)
        self._socket = unshared(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._others: list[str] = []
        self._seen, self._rings = -1, 0
        try:
            self._socket.setblocking(False)
            self._socket.bind(self._place(self._name))
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def ring(self) -> None:
        """Wake all other processes."""
        for name in self._known():
            try:
                self._socket.sendto(b"", self._place(name))
            except ConnectionRefusedError:
                with suppress(OSError):
                    os.unlink(name, dir_fd=self._folder)
            except OSError:
                pass  # it has not read the last one, or is gone

    def heard(self) -> None:
        """Read all datagrams."""
        with suppress(OSError):
            while True:
                self._socket.recv(1)

    def close(self) -> None:
        self._socket.close()
        with suppress(OSError):
            os.unlink(self._name, dir_fd=self._folder)
        os.close(self._folder)

    def _known(self) -> list[str]:
        self._rings += 1
        changed = os.fstat(self._folder).st_mtime_ns
        if changed != self._seen or self._rings % _LOOK_AGAIN == 0:
            self._seen = changed
            self._others = [name for name in os.listdir(self._folder) if name != self._name]  # noqa: PTH208 - a descriptor
        return self._others

    def _place(self, name: str) -> str:
        return f"/proc/self/fd/{self._folder}/{name}"  # a path of any length fits an address
