"""Find out soon that an address is no replica's: HTTP is spoken there by TCP, or no program has that UDP port."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress

from trickles.drivers.addresses import Address, shown

_TRY_SECONDS = 5.0  # to connect, and to be answered
_GRACE_SECONDS = 0.3  # for a replica at the same number of UDP, and some round trips more
_GRACE_ROUND_TRIPS = 6
_MOST_BYTES = 16

_KNOCKS, _KNOCK_SECONDS = 4, 0.25  # a replica that died is back in less


async def mistake(place: Address) -> str | None:
    """What is wrong with an address that does not answer, for people; None when it may be a replica's."""
    http, nobody = await asyncio.gather(speaks_http(place), nobody_listens(place))
    way_out = "name a replica by --replica, or its fleet by --run-dir"
    if http:
        return (
            f"{shown(place)} speaks HTTP: it is a gateway, or another web server, and no replica. "
            f"Use any HTTP client there, or {way_out}"
        )
    return f"nobody listens at {shown(place)} (UDP): {way_out}" if nobody else None


async def speaks_http(place: Address) -> bool:
    """Whether HTTP is spoken there; returns that late enough for a replica to have answered before."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_TRY_SECONDS):
            reader, writer = await asyncio.open_connection(*place)
            connected = time.monotonic()
            try:
                writer.write(f"OPTIONS * HTTP/1.1\r\nHost: {shown(place)}\r\nConnection: close\r\n\r\n".encode())
                said = await reader.read(_MOST_BYTES)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    if not said.startswith(b"HTTP/"):
        return False
    await asyncio.sleep(_GRACE_SECONDS + _GRACE_ROUND_TRIPS * (connected - begun))
    return True


async def nobody_listens(place: Address) -> bool:
    """Whether the host says that no program has that UDP port (ICMP), again and again: not while one is replaced.

    What it is sent is no packet of any kind: a replica passes over it.
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
