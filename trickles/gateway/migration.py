"""Migration of live connections from a gateway to its successor: the engine's snapshot, the socket, and some state.

Connections follow one after another on the socket that carried the listening ones: the length of the state with a
descriptor (unix(7), SCM_RIGHTS), then the state; the successor answers yes before it resumes, or no. It must pin the
same fleet, which a mark shows beforehand. A successor of another release that cannot read the snapshots answers with a
reason, and all connections stay until they end. TLS, proxied and passed-through connections always stay.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from errno import EPROTONOSUPPORT

from trickles.client import Client, parse_snapshot_untrusted
from trickles.drivers.dialer import Dialer
from trickles.errors import BadPacket, ConnectionFailed, IdentityError, LocalProtocolError, UnknownSnapshot
from trickles.gateway.accounting import ConnectionSnapshot
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream
from trickles.gateway.handover import MARK_BYTES, until_readable

NO_MARK = bytes(MARK_BYTES)  # nothing moves from or to such a gateway
YES, NO, UNKNOWN = b"+", b"-", b"?"  # the last, with a reason: it cannot read snapshots of this release
MOST_REASON_BYTES = 256
ANSWER_SECONDS = 10.0
MOST_BYTES = 1 << 26  # of one connection; its receive window is far below
_LENGTH = struct.Struct("!I")
_SNAPSHOT = struct.Struct("!dQQ?")
_FORM = b"trickles connections 1"


@dataclass(frozen=True, slots=True)
class Departure:
    """A connection that may leave now; after `packed` call `stay` or `gone`."""

    downstream: Downstream
    upstream: FleetUpstream

    def packed(self) -> tuple[Client, ConnectionSnapshot, int]:
        """Suspend the connection; return the engine, the other state, and a descriptor of the socket."""
        snapshot, descriptor = self.downstream.snapshot()
        return self.upstream.suspend(), snapshot, descriptor

    def stay(self) -> None:
        if self.downstream.stay():
            self.upstream.wake()

    def gone(self) -> None:
        """Forget the connection: the other process has it."""
        self.downstream.gone()


def mark(dialer: Dialer | None) -> bytes:
    """Return a mark, equal for gateways that can resume each other's connections."""
    if dialer is None or dialer.config.identity is None:
        return NO_MARK
    return hashlib.sha256(_FORM + dialer.config.identity + bytes([dialer.config.suite])).digest()


async def moved(member: Departure, successor: socket.socket) -> bool:
    """Move a connection; it stays unless the successor answers yes. OSError when no other can move either."""
    client, snapshot, descriptor = member.packed()
    answer = NO
    try:
        state = _SNAPSHOT.pack(*astuple(snapshot)) + client.snapshot().encode()
        if len(state) <= MOST_BYTES:
            answer = await _answered(successor, state, descriptor)
    except LocalProtocolError:  # it has failed, and reports that once it stays
        return True
    finally:
        if answer == YES:
            member.gone()
        else:
            member.stay()
    return answer == YES


async def _answered(successor: socket.socket, state: bytes, descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            socket.send_fds(successor, [_LENGTH.pack(len(state))], [descriptor])
            await loop.sock_sendall(successor, state)
            await until_readable(successor)
            answer = successor.recv(1)
            if answer == UNKNOWN:
                reason = await loop.sock_recv(successor, MOST_REASON_BYTES)
                raise NoSuccessor(EPROTONOSUPPORT, f"the successor cannot go on with {reason.decode(errors='replace')}")
            return answer
    except NoSuccessor:
        raise
    except OSError:  # a timeout too: prevent a late yes, and read one sent before
        with suppress(OSError):
            successor.shutdown(socket.SHUT_RDWR)
            if successor.recv(1) == YES:
                return YES
        raise


class NoSuccessor(OSError):
    """The successor's release cannot read snapshots of this one."""


Adopt = Callable[[socket.socket, Client, ConnectionSnapshot], Awaitable[None]]


async def received(predecessor: socket.socket, dialer: Dialer, adopt: Adopt) -> None:
    """Receive connections from a predecessor until there are no more."""
    loop = asyncio.get_running_loop()
    predecessor.setblocking(False)
    with predecessor, suppress(OSError):
        while True:
            await _readable(predecessor)
            head, descriptors, _, _ = socket.recv_fds(predecessor, _LENGTH.size, 1)
            for sock in _sockets(descriptors):
                answer = NO
                try:
                    client, snapshot = _resumed_untrusted(await _exactly(predecessor, head), dialer)
                    await loop.sock_sendall(predecessor, YES)
                    await adopt(sock, client, snapshot)
                    break
                except UnknownSnapshot as error:
                    answer = UNKNOWN + str(error).encode()[:MOST_REASON_BYTES]
                except (BadPacket, ConnectionFailed, IdentityError):
                    pass
                sock.close()
                await loop.sock_sendall(predecessor, answer)
            if len(head) < _LENGTH.size or not descriptors:
                return


def _resumed_untrusted(state: bytes, dialer: Dialer) -> tuple[Client, ConnectionSnapshot]:
    try:
        began, bytes_in, bytes_out, input_ended = _SNAPSHOT.unpack_from(state)
    except struct.error:
        raise BadPacket("not a connection") from None
    snapshot = parse_snapshot_untrusted(state[_SNAPSHOT.size :], dialer.config.limits)
    client = Client.resume(dialer.replicas, snapshot, dialer.config, dialer.liveness)
    return client, ConnectionSnapshot(began, bytes_in, bytes_out, input_ended)


async def _exactly(sock: socket.socket, head: bytes) -> bytes:
    loop, data = asyncio.get_running_loop(), bytearray()
    (size,) = _LENGTH.unpack(head)
    if size > MOST_BYTES:
        raise OSError("a connection of impossible size")
    while len(data) < size:
        part = await loop.sock_recv(sock, size - len(data))
        if not part:
            raise OSError("it went away")
        data += part
    return bytes(data)


def _sockets(descriptors: list[int]) -> Iterator[socket.socket]:
    for descriptor in descriptors:
        yield socket.socket(fileno=descriptor)


async def _readable(sock: socket.socket) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sock.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock.fileno())
