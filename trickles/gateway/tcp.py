"""Functions missing in asyncio's transports: resets, vectored writes, and how much the other side has read."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import sys
import termios
from contextlib import suppress

from trickles.drivers.addresses import shown
from trickles.service import Buffer

MOST_VECTORS = 1024  # IOV_MAX of Linux
_CLOSED = 7  # TCP_CLOSE of <linux/tcp_states.h>
_AT_ONCE = struct.pack("ii", 1, 0)  # struct linger: discard unsent bytes, and send RST


def prepare(sock: socket.socket, unsent_bytes: int) -> None:
    """Set options that accepted connections inherit: keepalive, and a bound of unsent bytes in the kernel.

    Keepalive detects machines that vanished. Without TCP_NOTSENT_LOWAT the kernel takes some 4 MB on loopback that
    the user does not read.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes)


def allow_unsent(transport: asyncio.Transport) -> None:
    """Remove the bound of unsent bytes in the kernel: fewer and larger writes."""
    _socket(transport).setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 0)


def host(transport: asyncio.BaseTransport) -> str:
    """Return the numeric address of the other side."""
    return str((transport.get_extra_info("peername") or ("unknown client",))[0])


def peer(transport: asyncio.BaseTransport | None) -> str:
    """Return the other side's address and port, for logs."""
    found = transport.get_extra_info("peername") if transport is not None else None
    return shown(found) if found else "unknown client"


def reset(transport: asyncio.Transport) -> None:
    """Reset the connection: after a plain close half an answer would look complete."""
    if not transport.is_closing():
        _socket(transport).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


def half_close(transport: asyncio.Transport) -> None:
    """Half-close after the written bytes; a reset by the other side will show when reading."""
    with suppress(OSError):
        transport.write_eof()


def is_gone(transport: asyncio.Transport) -> bool:
    """Return True if the other side reset the connection (tcp(7), the first byte of TCP_INFO)."""
    return _socket(transport).getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSED


def unread_bytes(transport: asyncio.Transport) -> int:
    """Return the bytes not acknowledged by the other side: in our buffer and the kernel's (tcp(7), SIOCOUTQ)."""
    waiting = fcntl.ioctl(_socket(transport).fileno(), termios.TIOCOUTQ, bytes(4))
    return transport.get_write_buffer_size() + int.from_bytes(waiting, sys.byteorder)


def written_at_once(descriptor: int, chunks: list[Buffer]) -> list[Buffer]:
    """Write as much as the kernel takes now, without joining or copying; return the rest."""
    if len(chunks) > MOST_VECTORS:
        chunks = [b"".join(chunks)]
    try:
        written = os.writev(descriptor, chunks)
    except OSError:  # full, or broken, which the next write will show
        return chunks
    for index, chunk in enumerate(chunks):
        if written < len(chunk):
            return [memoryview(chunk)[written:], *chunks[index + 1 :]]
        written -= len(chunk)
    return []


def _socket(transport: asyncio.Transport) -> socket.socket:
    found: socket.socket = transport.get_extra_info("socket")
    return found
