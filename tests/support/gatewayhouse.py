"""A gateway to replicas on the running loop, and programs that use it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopfleet import LoopFleet, config
from trickles import Dialer, Limits, Service
from trickles.gateway import Gateway, GatewayLimits
from trickles.gateway.downstream import Begin
from trickles.limits import DEFAULT_LIMITS, SECOND

SMALL = 1 << 16  # buffers in tests of back-pressure


Talk = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class House:
    """A gateway, what it reported, and programs that use it; all of them end with the house."""

    gateway: Gateway
    told: list[str]
    port: int = 0
    programs: list[asyncio.StreamWriter] = field(default_factory=list)

    async def dial(self, receive_bytes: int = 0, tls: ssl.SSLContext | None = None) -> Talk:
        """A program's connection to the gateway."""
        sock = socket.socket()
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        name = "127.0.0.1" if tls else None
        reader, writer = await asyncio.open_connection(sock=sock, limit=SMALL, ssl=tls, server_hostname=name)
        self.programs.append(writer)
        return reader, writer

    async def ask(self, request: bytes, *, end: bool = True) -> bytes:
        """All that comes back on a connection for that request alone, until the gateway closes."""
        reader, writer = await self.dial()
        writer.write(request)
        if end:
            writer.write_eof()
        return await reader.read()

    async def open(self, begin: Begin | None = None) -> None:
        """Let programs come."""
        [(_, self.port)] = await self.gateway.listen("127.0.0.1", 0, begin)

    async def close(self) -> None:
        """End what still runs."""
        for writer in self.programs:
            writer.transport.abort()
        await self.gateway.close()


@dataclass(slots=True, kw_only=True)
class FleetHouse(House):
    """With the one fleet that its gateway leads to."""

    fleet: LoopFleet
    dialer: Dialer


@asynccontextmanager
async def house(
    service: Service | None = None,
    *,
    count: int = 1,
    limits: GatewayLimits = GatewayLimits(),  # noqa: B008 - a frozen value
    idle_after: int = SECOND,
    client: Limits = DEFAULT_LIMITS,
    **options: Any,
) -> AsyncIterator[FleetHouse]:
    """A house that is cleaned up."""
    with LoopFleet(count, service) as fleet:
        dialer, told = Dialer(fleet.addresses, config(limits=client, **options), idle_after=idle_after), list[str]()
        gateway = Gateway(dialer, limits=limits, report=lambda _, reason: told.append(reason))
        home = FleetHouse(gateway, told, fleet=fleet, dialer=dialer)
        await home.open()
        try:
            yield home
        finally:
            await home.close()
