"""UDP sockets on the loop that connections take turns with: an idle connection holds none, a short one makes none.

Hundreds of ports may have much to read at the same time, and who has just begun would wait until the loop has read all
of it. So a port whose last reading brought much is passed over once a turn of the loop has read TURN_BYTES for such
ports; the loop reports it again in the next turn, after those that were passed over before it. Others never are.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from trickles.drivers.addresses import Address
from trickles.drivers.pool import BufferPool
from trickles.drivers.udp import KEPT_BUFFERS, RECEIVE_BYTES, BatchSocket, Received
from trickles.limits import SECOND

BULK_BYTES = 1 << 13  # a reading that brings so much is of a long answer: more than the first packets of a connection
LEAST_CHARGE_BYTES = 1 << 15  # a reading of less takes as long as one of this
TURN_BYTES = 1 << 20  # read for long answers in a turn of the loop: some milliseconds
FEW_PORTS = 64  # are never passed over: to count turns has its price
IDLE_AFTER = 3 * SECOND  # with nothing sent or awaited for so long, a connection gives its port back


class PortUser(Protocol):
    """Who has a port."""

    def arrived(self, received: list[Received], unreachable: list[Address]) -> None:
        """What came in; when nothing did, the destinations where nobody listens."""


class Port:
    """One socket, watched by the loop for as long as it is open, whoever holds it."""

    __slots__ = ("_bulky", "_loop", "_turn", "holder", "passed_over", "socket")

    def __init__(self, socket: BatchSocket, loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
        self.socket = socket
        self.holder: PortUser | None = None
        self.passed_over = False  # there is something to read, which had to wait
        self._bulky = False  # the last reading was
        self._loop = loop
        self._turn = turn
        loop.add_reader(socket.fileno(), self._readable)

    def hold(self, holder: PortUser) -> None:
        """Belong to that holder, which has received nothing yet."""
        self.holder = holder
        self._bulky = self.passed_over = False

    def close(self) -> None:
        """Give the socket back to the system."""
        self.holder = None
        self._loop.remove_reader(self.socket.fileno())
        self.socket.close()

    def _readable(self) -> None:
        if self._bulky and self._turn.is_over:
            self.passed_over = True
        else:
            self.read()

    def read(self) -> None:
        """Hand on what has arrived."""
        self.passed_over = False
        received = self.socket.receive()
        unreachable = [] if received else self.socket.unreachable()
        size_bytes = len(received[0][0]) if len(received) == 1 else sum([len(buffer) for buffer, _, _ in received])
        self._bulky = size_bytes >= BULK_BYTES
        if self._bulky and self._turn.ports > FEW_PORTS:
            self._turn.note(size_bytes)
        if self.holder is not None:
            self.holder.arrived(received, unreachable)


class Turn:
    """The bytes that the running turn of the loop has read for long answers, where there are many ports."""

    __slots__ = ("_loop", "_read_bytes", "ports")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ports = 0  # that are open
        self._loop = loop
        self._read_bytes = 0

    @property
    def is_over(self) -> bool:
        """True when it has read enough."""
        return self._read_bytes >= TURN_BYTES

    def note(self, size_bytes: int) -> None:
        """So much was read for a long answer, where there are more than a few ports."""
        if not self._read_bytes:
            self._loop.call_soon(self._renew)  # which runs before all that the next turn finds readable
        self._read_bytes += max(size_bytes, LEAST_CHARGE_BYTES)

    def _renew(self) -> None:
        self._read_bytes = 0


class Ports:
    """Open ports of one family on the running loop; at most `spare` of them wait for their next holder.

    A port that had a holder may still receive what was meant for it: keep none for who believes datagrams unchecked.
    """

    def __init__(self, family: int = socket.AF_INET, *, spare: int = 0, idle_after: int = IDLE_AFTER) -> None:
        self.idle_after = idle_after
        self._family = family
        self._most = spare
        self._loop = asyncio.get_running_loop()
        self._spare: list[Port] = []
        self._buffers = BufferPool(RECEIVE_BYTES, KEPT_BUFFERS)
        self._turn = Turn(self._loop)

    @property
    def open(self) -> int:
        """The number of those that are held and those that wait."""
        return self._turn.ports

    def take(self, holder: PortUser) -> Port:
        """A port for `holder`; OSError when the system has no more."""
        if self._spare:
            port = self._spare.pop()
        else:
            port = Port(BatchSocket.unbound(self._family, pool=self._buffers), self._loop, self._turn)
            self._turn.ports += 1
        port.hold(holder)
        return port

    def give_back(self, port: Port) -> None:
        """Its holder does not need it any more."""
        port.holder = None
        if len(self._spare) < self._most:
            self._spare.append(port)
        else:
            port.close()
            self._turn.ports -= 1

    def close(self) -> None:
        """Close those that wait; those that are held close when they are given back."""
        self._most = 0
        while self._spare:
            self.give_back(self._spare.pop())
