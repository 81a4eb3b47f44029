"""A gateway process: listening sockets, its dialer, its figures; ends cleanly on a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict

from trickles.drivers.dialer import Dialer
from trickles.gateway.forward import Forwarder, Tally
from trickles.wire.kinds import Address


class Gateway:
    """Forwards every TCP connection that its listening sockets accept to one fleet."""

    def __init__(self, dialer: Dialer, *, most_connections: int = 8192) -> None:
        self.tally = Tally()
        self._dialer = dialer
        self._most = most_connections
        self._live: set[Forwarder] = set()
        self._servers: list[asyncio.Server] = []

    @property
    def live(self) -> int:
        """TCP connections open now."""
        return len(self._live)

    async def listen(self, host: str, port: int) -> list[Address]:
        """Accept connections there; returns the bound addresses (port 0 picks one). OSError as bind(2) does."""
        factory = Forwarder.factory(self._dialer, self.tally, self._live, self._most)
        server = await asyncio.get_running_loop().create_server(factory, host or None, port, backlog=1024)
        self._servers.append(server)
        return [(sock.getsockname()[0], sock.getsockname()[1]) for sock in server.sockets]

    async def close(self) -> None:
        """Stop accepting; live connections are reset."""
        for server in self._servers:
            server.close()
        for forwarder in list(self._live):
            forwarder.failed("gateway ends")

    def figures(self) -> dict[str, object]:
        """What it has done, for status files and logs."""
        return {**asdict(self.tally), "live": self.live}


async def serve(
    gateway: Gateway,
    listen: Sequence[Address],
    *,
    ready: Callable[[list[Address]], None],
    tick: Callable[[], None] | None = None,
    every: float = 1.0,
) -> None:
    """Listen, tell `ready` the bound addresses, and serve until SIGTERM or SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    bound = [address for host, port in listen for address in await gateway.listen(host, port)]
    ready(bound)
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), every)
        except TimeoutError:
            if tick is not None:
                tick()
    await gateway.close()
