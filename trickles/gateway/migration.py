"""Live connections move from a gateway to its successor: an engine's snapshot, a socket, and what lies between them.

Over the connection by which the listening sockets went, one after another: the length of what follows with a
descriptor (unix(7), SCM_RIGHTS), then the state; the successor says yes before it goes on, or no. It must pin the same
fleet, which a mark shows beforehand. It may be of another release: if it does not read this one's snapshots it says so
in words, and all connections stay where they are until they end. TLS, proxies and pass-through stay anyway.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import astuple
from errno import EPROTONOSUPPORT

from trickles.client import Client, parse_snapshot_untrusted
from trickles.drivers.dialer import Dialer
from trickles.errors import BadPacket, IdentityError, LocalProtocolError, UnknownSnapshot
from trickles.gateway.accounting import ConnectionSnapshot
from trickles.gateway.departure import Departure
from trickles.gateway.handover import MARK_BYTES

NO_MARK = bytes(MARK_BYTES)  # nothing moves to, or from, who has none
YES, NO, UNKNOWN = b"+", b"-", b"?"  # the last with the reason after it: no snapshot of this release is read there
MOST_REASON_BYTES = 256
ANSWER_SECONDS = 10.0
MOST_BYTES = 1 << 26  # of one connection; its receive window is far below
_LENGTH = struct.Struct("!I")
_STANDING = struct.Struct("!dQQ?")
_FORM = b"trickles connections 1"


def mark(dialer: Dialer | None) -> bytes:
    """Equal for gateways that can go on with each other's connections."""
    if dialer is None or dialer.config.identity is None:
        return NO_MARK
    return hashlib.sha256(_FORM + dialer.config.identity + bytes([dialer.config.suite])).digest()


async def moved(member: Departure, heir: socket.socket) -> bool:
    """Move it; OSError when the successor cannot be reached any more, or reads no snapshot of this release.

    It stays here unless the successor said yes.
    """
    client, standing, descriptor = member.packed()
    answer = NO
    try:
        state = _STANDING.pack(*astuple(standing)) + client.snapshot().encode()
        if len(state) <= MOST_BYTES:
            answer = await _answered(heir, state, descriptor)
    except LocalProtocolError:  # it has failed meanwhile, which it says itself once it stays
        return True
    finally:
        if answer == YES:
            member.gone()
        else:
            member.stay()
    return answer == YES


async def _answered(heir: socket.socket, state: bytes, descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            socket.send_fds(heir, [_LENGTH.pack(len(state))], [descriptor])
            await loop.sock_sendall(heir, state)
            answer = await loop.sock_recv(heir, 1)
            if answer == UNKNOWN:
                reason = await loop.sock_recv(heir, MOST_REASON_BYTES)
                raise NoSuccessor(EPROTONOSUPPORT, f"the successor cannot go on with {reason.decode(errors='replace')}")
            return answer
    except NoSuccessor:
        raise
    except OSError:  # a timeout too: after this no yes can be said any more, but one may have been said
        with suppress(OSError):
            heir.shutdown(socket.SHUT_RDWR)
            if heir.recv(1) == YES:
                return YES
        raise


class NoSuccessor(OSError):
    """The successor is of a release that reads no snapshot of this one."""


Adopt = Callable[[socket.socket, Client, ConnectionSnapshot], Awaitable[None]]


async def received(predecessor: socket.socket, dialer: Dialer, adopt: Adopt) -> None:
    """Take what a predecessor hands over, until it has no more."""
    loop = asyncio.get_running_loop()
    predecessor.setblocking(False)
    with predecessor, suppress(OSError):
        while True:
            await _readable(predecessor)
            head, descriptors, _, _ = socket.recv_fds(predecessor, _LENGTH.size, 1)
            for sock in _sockets(descriptors):
                answer = NO
                try:
                    client, standing = _resumed_untrusted(await _exactly(predecessor, head), dialer)
                    await loop.sock_sendall(predecessor, YES)
                    await adopt(sock, client, standing)
                    break
                except UnknownSnapshot as error:
                    answer = UNKNOWN + str(error).encode()[:MOST_REASON_BYTES]
                except (BadPacket, IdentityError):
                    pass
                sock.close()
                await loop.sock_sendall(predecessor, answer)
            if len(head) < _LENGTH.size or not descriptors:
                return


def _resumed_untrusted(state: bytes, dialer: Dialer) -> tuple[Client, ConnectionSnapshot]:
    try:
        began, bytes_in, bytes_out, input_ended = _STANDING.unpack_from(state)
    except struct.error:
        raise BadPacket("not a connection") from None
    snapshot = parse_snapshot_untrusted(state[_STANDING.size :], dialer.config.limits)
    client = Client.resume(dialer.replicas, snapshot, dialer.config)
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
