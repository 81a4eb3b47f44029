"""A gateway: listening sockets, the connections that they accept, and what is known of them."""

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
from trickles.drivers.memory import give_back_freed_memory
from trickles.gateway import tcp
from trickles.gateway.accesslog import ConnectionRecord
from trickles.gateway.accounting import Accounting, ConnectionSnapshot
from trickles.gateway.certificates import Certificates
from trickles.gateway.connection_table import ConnectionTable
from trickles.gateway.context import GatewayContext, Statistics, no_report
from trickles.gateway.departure import Departure
from trickles.gateway.downstream import Begin, Downstream
from trickles.gateway.fleet_upstream import FleetUpstream
from trickles.gateway.forward_front import forwarded
from trickles.gateway.limits import DEFAULT_LIMITS, GatewayLimits
from trickles.gateway.tls import TlsLayer
from trickles.gateway.transparent import make_transparent
from trickles.wire.kinds import Address

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen on, and what connects its users to an upstream, as `Gateway.listen` takes it."""

    host: str
    port: int
    begin: Begin | None = None
    mode: str = "forward"

    @property
    def name(self) -> str:
        """The name by which a successor knows it."""
        return f"{self.mode}@{shown((self.host, self.port))}"


class Gateway:
    """Listening sockets and the users that they accept; those are forwarded to one fleet, if nothing else is said.

    `report` is called with the client's address and a reason for each transfer that could not go on. With
    `certificates` users must speak TLS.
    """

    def __init__(
        self,
        dialer: Dialer | None = None,
        *,
        limits: GatewayLimits = DEFAULT_LIMITS,
        report: Callable[[str, str], None] = no_report,
        certificates: Certificates | None = None,
    ) -> None:
        self.context = GatewayContext(ConnectionTable(limits), limits, report)
        self._dialer = dialer
        self._certificates = certificates
        self.own_ports: set[int] = set()  # where it listens: never reached by plain TCP
        self._servers: list[asyncio.Server] = []
        self._descriptors: dict[str, list[int]] = {}  # of listening sockets, by the name of their place
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def statistics(self) -> Statistics:
        """Counts since its start."""
        return self.context.statistics

    @property
    def live(self) -> int:
        """TCP connections open now."""
        return len(self.context.table)

    async def listen(
        self,
        host: str,
        port: int,
        begin: Begin | None = None,
        *,
        mode: str = "forward",
        inherited: Sequence[socket.socket] = (),
    ) -> list[Address]:
        """Accept connections there; returns the bound addresses (port 0 picks one). OSError as bind(2) does.

        `begin` connects one of them to an upstream; without it they go to the fleet, by TLS with certificates.
        Transparent sockets take connections to addresses that are not this machine's, where the kernel allows that.
        Sockets that are `inherited` from a predecessor listen there already.
        """
        protocol = self._forwarding if begin is None else partial(Downstream, self.context, begin)
        servers = await self._servers_at(host, port, protocol, inherited)
        self._servers += servers
        sockets = [sock for server in servers for sock in server.sockets]
        self.own_ports.update(sock.getsockname()[1] for sock in sockets)
        for sock in sockets:  # what they accept inherits it
            tcp.prepare(sock, self.context.limits.unsent_bytes)
            if mode == "transparent":
                make_transparent(sock)
        self._descriptors.setdefault(ListenAddress(host, port, begin, mode).name, []).extend(map(_descriptor, sockets))
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
        """Return descriptors of its listening sockets by the names of their addresses: what a successor wants."""
        return self._descriptors

    @property
    def dialer(self) -> Dialer | None:
        """The fleet that it forwards to, if there is one."""
        return self._dialer

    def leaving(self) -> list[Departure]:
        """Return what another process could go on with now; connections that must be read from first get no more."""
        return [each for each in self._movable() if each.downstream.drain()]

    def _movable(self) -> Iterator[Departure]:
        for each in self._downstreams():
            if isinstance(each.upstream, FleetUpstream) and each.upstream.can_move(self._dialer):
                yield Departure(each, each.upstream)

    def _downstreams(self) -> list[Downstream]:
        return [member for member in self.context.table if isinstance(member, Downstream)]

    async def adopt(self, sock: socket.socket, client: Client, snapshot: ConnectionSnapshot) -> None:
        """Go on with a connection that began in another process."""
        assert self._dialer is not None
        upstream = FleetUpstream(self.context, self._dialer, client=client)
        accounting = Accounting.resumed(self.context, snapshot)
        downstream = Downstream(self.context, lambda found: found.connect(upstream), accounting)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: downstream, sock)

    def stay(self) -> None:
        """Keep the connections that were about to leave: they go on here."""
        for each in self._movable():
            each.stay()

    async def retire(self) -> None:
        """Accept no more, since a successor does; connections go on, and idle ones are closed soon."""
        loop = asyncio.get_running_loop()
        for descriptor in (each for descriptors in self._descriptors.values() for each in descriptors):
            loop.remove_reader(descriptor)
        for _ in range(3):  # turns of the loop, in which what was accepted becomes a connection
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        self._descriptors.clear()
        self.context.table.wind_down()

    def _forwarding(self) -> asyncio.Protocol:
        assert self._dialer is not None, "forwarding needs a fleet"
        make = partial(Downstream, self.context, partial(forwarded, self._dialer))
        return TlsLayer(self.context, self._certificates, make) if self._certificates else make()

    async def close(self) -> None:
        """Stop accepting; connections with something under way are reset, idle ones closed."""
        for server in self._servers:
            server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for member in list(self.context.table):
            member.stop("gateway ends")
        if self._dialer is not None:
            self._dialer.close()
        await asyncio.sleep(0)  # the transports close their sockets in the next turn of the loop

    def _sweep(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(self.context.limits.sweep_every, self._sweep)
        if self.context.memory.has_fallen():
            give_back_freed_memory()
        self.context.table.sweep()  # whatever it raises, the next sweep is due

    def broke(self, context: dict[str, Any]) -> None:
        """Report an exception that nothing caught, as the loop describes it: no other connection notices."""
        error = context.get("exception")
        self.context.report("gateway", f"{context.get('message', '')}: {error!r}" if error else context["message"])

    def watch(self, watcher: Callable[[ConnectionRecord], None]) -> None:
        """Call it with the record of each connection that is over."""
        self.context.watchers.append(watcher)

    def packets(self) -> Iterator[Mapping[Address, int]]:
        """Yield for each connection that is open the packets that brought something, by replica."""
        return (each.upstream.delivery.served for each in self._downstreams() if each.upstream is not None)

    def figures(self) -> dict[str, object]:
        """Return counts for status files and logs."""
        return {**asdict(self.statistics), "live": self.live, "unread_bytes": self.context.memory.held_bytes}


def _descriptor(sock: socket.socket) -> int:
    return sock.fileno()
