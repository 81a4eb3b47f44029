"""Find out soon that an address is no replica's: what speaks HTTP by TCP there is a gateway, or another web server."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from trickleweb.cli.parser import Address, shown

_TRY_SECONDS = 5.0  # to connect, and to be answered
_GRACE_SECONDS = 0.3  # for a replica at the same number of UDP, and some round trips more
_GRACE_ROUND_TRIPS = 6
_MOST_BYTES = 16


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
