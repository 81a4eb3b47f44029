"""A gateway process: listening sockets, its dialer, its figures; ends cleanly on a signal."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from trickles.client import Client
from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer
from trickles.gateway.account import Account
from trickles.gateway.certificates import Certificates
from trickles.gateway.crowd import Crowd
from trickles.gateway.forward import Forwarder, Standing
from trickles.gateway.limits import DEFAULT_LIMITS, GatewayLimits
from trickles.gateway.program import Program
from trickles.gateway.shared import Shared, Tally, untold
from trickles.gateway.tls import TlsLayer
from trickles.gateway.transparent import make_transparent
from trickles.wire.kinds import Address

Accept = Callable[[Shared], Program]
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway listens, and for what, as `Gateway.listen` takes it."""

    host: str
    port: int
    accept: Accept | None = None
    mode: str = "forward"

    @property
    def name(self) -> str:
        """What a successor calls it by."""
        return f"{self.mode}@{shown((self.host, self.port))}"


class Gateway:
    """Listening sockets and the programs that they accept; those are forwarded to one fleet, if nothing else is said.

    `report` is called with the client's address and a reason for each transfer that could not go on. With
    `certificates` programs must speak TLS.
    """

    def __init__(
        self,
        dialer: Dialer | None = None,
        *,
        limits: GatewayLimits = DEFAULT_LIMITS,
        report: Callable[[str, str], None] = untold,
        certificates: Certificates | None = None,
    ) -> None:
        self._shared = Shared(Crowd(limits), limits, report)
        self._dialer = dialer
        self._certificates = certificates
        self.own_ports: set[int] = set()  # where it listens: nobody is passed through to them
        self._servers: list[asyncio.Server] = []
        self._descriptors: dict[str, list[int]] = {}  # of listening sockets, by the name of their place
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def tally(self) -> Tally:
        """What it has done."""
        return self._shared.tally

    @property
    def live(self) -> int:
        """TCP connections open now."""
        return len(self._shared.live)

    async def listen(
        self,
        host: str,
        port: int,
        accept: Accept | None = None,
        *,
        mode: str = "forward",
        inherited: Sequence[socket.socket] = (),
    ) -> list[Address]:
        """Accept connections there; returns the bound addresses (port 0 picks one). OSError as bind(2) does.

        `accept` makes what serves one of them; without it they are forwarded to the fleet, by TLS with certificates.
        Transparent sockets take connections to addresses that are not this machine's, where the kernel allows that.
        Sockets that are `inherited` from a predecessor listen there already.
        """
        protocol = self._protocol if accept is None else partial(accept, self._shared)
        servers = await self._servers_at(host, port, protocol, inherited)
        self._servers += servers
        sockets = [sock for server in servers for sock in server.sockets]
        self.own_ports.update(sock.getsockname()[1] for sock in sockets)
        for sock in sockets:  # what they accept inherits it: programs whose machine vanished are noticed
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if mode == "transparent":
                make_transparent(sock)
        self._descriptors.setdefault(Place(host, port, accept, mode).name, []).extend(map(_descriptor, sockets))
        if self._sweeping is None:
            self._sweep()
        return [(sock.getsockname()[0], sock.getsockname()[1]) for sock in sockets]

    async def _servers_at(
        self, host: str, port: int, protocol: Callable[[], asyncio.BaseProtocol], inherited: Sequence[socket.socket]
    ) -> list[asyncio.Server]:
        loop = asyncio.get_running_loop()
        if inherited:
            return [await loop.create_server(protocol, sock=sock, backlog=BACKLOG) for sock in inherited]
        try:
            return [await loop.create_server(protocol, host or None, port, backlog=BACKLOG)]
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise OSError(error.errno, f"cannot listen on {shown((host, port))}: {why}") from None

    def offer(self) -> dict[str, list[int]]:
        """Descriptors of its listening sockets, by the names of their places: what a successor wants."""
        return self._descriptors

    @property
    def dialer(self) -> Dialer | None:
        """The fleet that it forwards to, if there is one."""
        return self._dialer

    def leaving(self) -> list[Forwarder]:
        """Connections that another process could go on with now; those that must be read from first get no more."""
        dialer = self._dialer
        members = [member for member in self._shared.live if isinstance(member, Forwarder)]
        return [member for member in members if dialer is not None and member.leave(dialer)]

    async def adopt(self, sock: socket.socket, client: Client, standing: Standing) -> None:
        """Go on with a connection that began in another process."""
        assert self._dialer is not None
        forwarder = Forwarder(self._shared, self._dialer)

        def go_on(transport: asyncio.Transport) -> None:
            transport.set_protocol(forwarder)
            forwarder.resume(transport, client, standing)

        await asyncio.get_running_loop().connect_accepted_socket(lambda: _Arrival(go_on), sock)

    def stay(self) -> None:
        """Nobody goes on with connections: those that were about to leave go on here."""
        for member in list(self._shared.live):
            if isinstance(member, Forwarder):
                member.stay()

    async def retire(self) -> None:
        """Accept no more, since a successor does; connections go on, and those that stand idle are closed soon."""
        loop = asyncio.get_running_loop()
        for descriptor in (each for descriptors in self._descriptors.values() for each in descriptors):
            loop.remove_reader(descriptor)
        for _ in range(3):  # turns of the loop, in which what was accepted becomes a connection
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        self._descriptors.clear()
        self._shared.live.wind_down()

    def _protocol(self) -> asyncio.Protocol:
        assert self._dialer is not None, "forwarding needs a fleet"
        forwarder = Forwarder(self._shared, self._dialer)
        return TlsLayer(self._shared, self._certificates, forwarder) if self._certificates else forwarder

    async def close(self) -> None:
        """Stop accepting; connections with something under way are reset, idle ones closed."""
        for server in self._servers:
            server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for member in list(self._shared.live):
            member.stop("gateway ends")
        if self._dialer is not None:
            self._dialer.close()
        await asyncio.sleep(0)  # the transports close their sockets in the next turn of the loop

    def _sweep(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(self._shared.limits.sweep_every, self._sweep)
        self._shared.live.look()  # whatever it raises, the next look is due

    def broke(self, context: dict[str, Any]) -> None:
        """What the loop says of an exception that nobody caught: no other connection notices."""
        error = context.get("exception")
        self._shared.report("gateway", f"{context.get('message', '')}: {error!r}" if error else context["message"])

    def watch(self, watcher: Callable[[Account], None]) -> None:
        """Tell it of each connection once it is over."""
        self._shared.watchers.append(watcher)

    def packets(self) -> Iterator[Mapping[Address, int]]:
        """For each connection that is open: packets that brought something, by replica."""
        return (member.packets() for member in self._shared.live if isinstance(member, Program))

    def figures(self) -> dict[str, object]:
        """What it has done, for status files and logs."""
        return {**asdict(self.tally), "live": self.live}


def _descriptor(sock: socket.socket) -> int:
    return sock.fileno()


class _Arrival(asyncio.Protocol):
    """Stands in until there is a transport to go on with."""

    def __init__(self, go_on: Callable[[asyncio.Transport], None]) -> None:
        self._go_on = go_on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is."""
        assert isinstance(transport, asyncio.Transport)
        self._go_on(transport)
