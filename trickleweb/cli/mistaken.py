"""Detect early that an address is not a replica's: HTTP is spoken there over TCP, or its UDP port is closed."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress

from trickles.drivers.addresses import Address, shown

_TRY_SECONDS = 5.0  # to connect and get an answer
_GRACE_SECONDS = 0.3  # for a replica on the same UDP port number, plus some round trips
_GRACE_ROUND_TRIPS = 6
_MOST_BYTES = 16

_KNOCKS, _KNOCK_SECONDS = 4, 0.25  # a dead replica restarts in less


async def mistake(place: Address) -> str | None:
    """Return a message about an address that does not answer; None when it may be a replica's."""
    http, closed = await asyncio.gather(speaks_http(place), is_closed(place))
    way_out = "name a replica with --replica, or its fleet with --run-dir"
    if http:
        return (
            f"{shown(place)} speaks HTTP: it is a gateway or another web server, not a replica. "
            f"Use any HTTP client there, or {way_out}"
        )
    return f"nothing listens at {shown(place)} (UDP): {way_out}" if closed else None


async def speaks_http(place: Address) -> bool:
    """Return whether HTTP is spoken there, late enough for a replica to have answered before."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_TRY_SECONDS):
            reader, writer = await asyncio.open_connection(*place)
            connected = time.monotonic()
            try:
                writer.write(f"OPTIONS * HTTP/1.1\r\nHost: {shown(place)}\r\nConnection: close\r\n\r\n".encode())
                data = await reader.read(_MOST_BYTES)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    if not data.startswith(b"HTTP/"):
        return False
    await asyncio.sleep(_GRACE_SECONDS + _GRACE_ROUND_TRIPS * (connected - begun))
    return True


async def is_closed(place: Address) -> bool:
    """Return whether the host reports the UDP port closed (ICMP), repeatedly: not while a process is being replaced.

    The datagrams are of no packet kind, so that a replica ignores them.
    """
    loop = asyncio.get_running_loop()
    try:
        kind, _, _, _, address = (await loop.getaddrinfo(*place, type=socket.SOCK_DGRAM))[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(address)
            for _ in range(_KNOCKS):
                sock.send(b"\0")
                await asyncio.sleep(_KNOCK_SECONDS)
                try:
                    sock.recv(1)
                except ConnectionRefusedError:
                    continue
                return False
    except OSError:
        return False
    return True
