"""A large download, read slowly enough that it is not complete when things have happened to what it comes through."""

import hashlib
import os
import select
import socket

from tests.support.processes import PATIENCE_SECONDS

PACE_SECONDS = 0.005  # after each 64 kB


class SlowDownload:
    """So much of the tape from a program of replicas, or from a gateway to them."""

    def __init__(self, address: tuple[str, int], size_bytes: int) -> None:
        self._sock = socket.create_connection(address, PATIENCE_SECONDS)
        self._sock.sendall(b"get %d\n" % size_bytes)
        self._sock.shutdown(socket.SHUT_WR)
        self._digest = hashlib.sha256(self._sock.recv(1000, socket.MSG_WAITALL))

    def read_until(self, descriptor: int) -> None:
        """Read on until there is something to be read there too."""
        while not select.select([descriptor], [], [], PACE_SECONDS)[0]:
            data = self._sock.recv(1 << 16)
            assert data, "complete too early"
            self._digest.update(data)

    def read_while_alive(self, pid: int) -> None:
        """Read on until that process has ended."""
        ended = os.pidfd_open(pid)
        try:
            self.read_until(ended)
        finally:
            os.close(ended)

    def finish(self) -> str:
        """Read to the end; the digest of all."""
        with self._sock:
            while data := self._sock.recv(1 << 18):
                self._digest.update(data)
        return self._digest.hexdigest()
