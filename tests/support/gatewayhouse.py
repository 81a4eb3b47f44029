"""A gateway to replicas on the running loop, and programs that use it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopfleet import LoopFleet, config
from trickles import Dialer, Limits, Service
from trickles.gateway import Gateway, GatewayLimits
from trickles.limits import DEFAULT_LIMITS, SECOND

SMALL = 1 << 16  # buffers in tests of back-pressure


@dataclass(slots=True)
class House:
    """A fleet, a gateway to it, and what the gateway reported."""

    fleet: LoopFleet
    dialer: Dialer
    gateway: Gateway
    port: int = 0
    told: list[str] = field(default_factory=list)
    programs: list[asyncio.StreamWriter] = field(default_factory=list)

    async def dial(self, receive_bytes: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A program's connection to the gateway."""
        sock = socket.socket()
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=SMALL)
        self.programs.append(writer)
        return reader, writer

    async def ask(self, request: bytes) -> bytes:
        """All that comes back on a connection for that request alone."""
        reader, writer = await self.dial()
        writer.write(request)
        writer.write_eof()
        return await reader.read()

    async def close(self) -> None:
        """End what still runs."""
        for writer in self.programs:
            writer.transport.abort()
        await self.gateway.close()


@asynccontextmanager
async def house(
    service: Service | None = None,
    *,
    count: int = 1,
    limits: GatewayLimits = GatewayLimits(),  # noqa: B008 - a frozen value
    idle_after: int = SECOND,
    client: Limits = DEFAULT_LIMITS,
    **options: Any,
) -> AsyncIterator[House]:
    """A house that is cleaned up."""
    with LoopFleet(count, service) as fleet:
        dialer = Dialer(fleet.addresses, config(limits=client, **options), idle_after=idle_after)
        told: list[str] = []
        gateway = Gateway(dialer, limits=limits, report=lambda _, reason: told.append(reason))
        [(_, port)] = await gateway.listen("127.0.0.1", 0)
        home = House(fleet, dialer, gateway, port, told)
        try:
            yield home
        finally:
            await home.close()
