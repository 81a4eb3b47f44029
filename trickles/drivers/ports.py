"""UDP sockets on the loop that connections take turns with: an idle connection holds none, a short one makes none."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from trickles.drivers.addresses import Address
from trickles.drivers.pool import BufferPool
from trickles.drivers.udp import KEPT_BUFFERS, RECEIVE_BYTES, BatchSocket, Received
from trickles.limits import SECOND

IDLE_AFTER = 3 * SECOND  # with nothing sent or awaited for so long, a connection gives its port back


class PortUser(Protocol):
    """Who has a port."""

    def arrived(self, received: list[Received], unreachable: list[Address]) -> None:
        """What came in; when nothing did, the destinations where nobody listens."""


class Port:
    """One socket, watched by the loop for as long as it is open, whoever holds it."""

    __slots__ = ("_loop", "holder", "socket")

    def __init__(self, socket: BatchSocket, loop: asyncio.AbstractEventLoop) -> None:
        self.socket = socket
        self.holder: PortUser | None = None
        self._loop = loop
        loop.add_reader(socket.fileno(), self._readable)

    def close(self) -> None:
        """Give the socket back to the system."""
        self.holder = None
        self._loop.remove_reader(self.socket.fileno())
        self.socket.close()

    def _readable(self) -> None:
        received = self.socket.receive()
        unreachable = [] if received else self.socket.unreachable()
        if self.holder is not None:
            self.holder.arrived(received, unreachable)


class Ports:
    """Open ports of one family on the running loop; at most `spare` of them wait for their next holder.

    A port that had a holder may still receive what was meant for it: keep none for who believes datagrams unchecked.
    """

    def __init__(self, family: int = socket.AF_INET, *, spare: int = 0, idle_after: int = IDLE_AFTER) -> None:
        self.idle_after = idle_after
        self.open = 0  # those that are held and those that wait
        self._family = family
        self._most = spare
        self._loop = asyncio.get_running_loop()
        self._spare: list[Port] = []
        self._buffers = BufferPool(RECEIVE_BYTES, KEPT_BUFFERS)

    def take(self, holder: PortUser) -> Port:
        """A port for `holder`; OSError when the system has no more."""
        if self._spare:
            port = self._spare.pop()
        else:
            port = Port(BatchSocket.unbound(self._family, pool=self._buffers), self._loop)
            self.open += 1
        port.holder = holder
        return port

    def give_back(self, port: Port) -> None:
        """Its holder does not need it any more."""
        port.holder = None
        if len(self._spare) < self._most:
            self._spare.append(port)
        else:
            port.close()
            self.open -= 1

    def close(self) -> None:
        """Close those that wait; those that are held close when they are given back."""
        self._most = 0
        while self._spare:
            self.give_back(self._spare.pop())
