"""UDP sockets on the loop that connections share in turn: an idle connection holds none, a short one opens none.

Hundreds of ports may have much to read at the same time, and a new connection would wait until the loop has read all of
it. So a port whose last read was large is passed over once a turn of the loop has read TURN_BYTES for such ports; the
loop reports it again in the next turn, after those that were passed over before it. Others are never passed over.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Protocol

from trickles.drivers.addresses import Address
from trickles.drivers.deadlines import Deadlines
from trickles.drivers.pool import BufferPool
from trickles.drivers.udp import KEPT_BUFFERS, RECEIVE_BYTES, BatchSocket, Received
from trickles.limits import SECOND

BULK_BYTES = 1 << 13  # a read of so much is a long answer: more than the first packets of a connection
LEAST_CHARGE_BYTES = 1 << 15  # a smaller read takes as long
TURN_BYTES = 1 << 20  # read for long answers in a turn of the loop: some milliseconds
FEW_PORTS = 64  # are never passed over: counting costs time
IDLE_AFTER = 3 * SECOND  # after so long without anything sent or awaited a connection gives its port back
LATER_S = 0.25  # until the second copy of a goodbye: what lost the first one, a full queue, is over by then


class PortUser(Protocol):
    """Holder of a port."""

    def arrived(self, received: list[Received], unreachable: list[Address]) -> None: ...  # one of the two is empty


class _Nobody:
    def arrived(self, received: list[Received], unreachable: list[Address]) -> None:
        pass


_NOBODY = _Nobody()


class Port:
    """One socket, watched by the loop while it is open."""

    __slots__ = ("_bulky", "_loop", "_turn", "holder", "passed_over", "socket")

    def __init__(self, socket: BatchSocket, loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
        self.socket = socket
        self.holder: PortUser | None = None
        self.passed_over = False  # something waits to be read
        self._bulky = False  # the last read was large
        self._loop = loop
        self._turn = turn
        loop.add_reader(socket.fileno(), self._readable)

    def hold(self, holder: PortUser) -> None:
        self.holder = holder
        self._bulky = self.passed_over = False

    def close(self) -> None:
        self.holder = None
        self._loop.remove_reader(self.socket.fileno())
        self.socket.close()

    def _readable(self) -> None:
        if self._bulky and self._turn.is_over:
            self.passed_over = True
        else:
            self.read()

    def read(self) -> None:
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
    """Bytes read for long answers in the present turn of the loop, where there are many ports."""

    __slots__ = ("_loop", "_read_bytes", "ports")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ports = 0  # that are open
        self._loop = loop
        self._read_bytes = 0

    @property
    def is_over(self) -> bool:
        return self._read_bytes >= TURN_BYTES

    def note(self, size_bytes: int) -> None:
        if not self._read_bytes:
            self._loop.call_soon(self._renew)  # runs before the readers of the next turn
        self._read_bytes += max(size_bytes, LEAST_CHARGE_BYTES)

    def _renew(self) -> None:
        self._read_bytes = 0


class Ports:
    """Open ports of one family on the running loop, and its `deadlines`; at most `spare` ports wait for a holder.

    A port may receive late datagrams for its last holder: keep no spare ones if datagrams are not authenticated.
    """

    def __init__(self, family: int = socket.AF_INET, *, spare: int = 0, idle_after: int = IDLE_AFTER) -> None:
        self.idle_after = idle_after
        self._family = family
        self._most = spare
        self._loop = asyncio.get_running_loop()
        self._spare: list[Port] = []
        self._buffers = BufferPool(RECEIVE_BYTES, KEPT_BUFFERS)
        self._turn = Turn(self._loop)
        self.deadlines = Deadlines()

    @property
    def open(self) -> int:
        """Count of held and spare ports."""
        return self._turn.ports

    def take(self, holder: PortUser) -> Port:
        """Return a port for `holder`; OSError when the system has no more."""
        if self._spare:
            port = self._spare.pop()
        else:
            port = Port(BatchSocket.unbound(self._family, pool=self._buffers), self._loop, self._turn)
            self._turn.ports += 1
        port.hold(holder)
        return port

    def send_later(self, datagrams: list[tuple[bytes, Address]]) -> None:
        """Send datagrams to which nobody waits for an answer, after a moment, by any port; or lose them."""
        self._loop.call_later(LATER_S, self._send, datagrams)

    def _send(self, datagrams: list[tuple[bytes, Address]]) -> None:
        with suppress(OSError):
            port = self.take(_NOBODY)
            for datagram, destination in datagrams:
                port.socket.send_one(datagram, destination)
            self.give_back(port)

    def give_back(self, port: Port) -> None:
        port.holder = None
        if len(self._spare) < self._most:
            self._spare.append(port)
        else:
            self.discard(port)

    def discard(self, port: Port) -> None:
        """Take back a port that may lead nowhere: it does not become a spare one."""
        port.close()
        self._turn.ports -= 1

    def close(self) -> None:
        """Close the spare ports; held ones close when they are given back."""
        self._most = 0
        while self._spare:
            self.give_back(self._spare.pop())
