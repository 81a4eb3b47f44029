"""A gateway: listening sockets, accepted connections, and statistics."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from trickles.client import Client
from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer
from trickles.drivers.memory import give_back_freed_memory
from trickles.drivers.sockopts import bind_freely
from trickles.gateway import tcp
from trickles.gateway.accesslog import ConnectionRecord
from trickles.gateway.accounting import Accounting, ConnectionSnapshot
from trickles.gateway.certificates import Certificates
from trickles.gateway.connection_table import ConnectionTable
from trickles.gateway.context import GatewayContext, Statistics, no_report
from trickles.gateway.downstream import Begin, Downstream
from trickles.gateway.fleet_upstream import FleetUpstream
from trickles.gateway.forward_front import forwarded
from trickles.gateway.limits import DEFAULT_LIMITS, GatewayLimits
from trickles.gateway.migration import Departure
from trickles.gateway.tls import TlsLayer
from trickles.gateway.transparent import make_transparent
from trickles.wire.kinds import Address

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen on, and `begin`, which connects its users to an upstream."""

    host: str
    port: int
    begin: Begin | None = None
    mode: str = "forward"

    @property
    def name(self) -> str:
        return f"{self.mode}@{shown((self.host, self.port))}"


class Gateway:
    """Listening sockets and their users, who are forwarded to one fleet by default.

    `report` is called with the client's address and a reason for each failed transfer. With `certificates` users must
    use TLS.
    """

    def __init__(
        self,
        dialer: Dialer | None = None,
        *,
        limits: GatewayLimits = DEFAULT_LIMITS,
        report: Callable[[str, str], None] = no_report,
        certificates: Certificates | None = None,
        freebind: bool = False,
    ) -> None:
        self.context = GatewayContext(ConnectionTable(limits), limits, report)
        self._dialer = dialer
        self._certificates = certificates
        self._freebind = freebind
        self.own_ports: set[int] = set()  # of its listeners: never reached by plain TCP
        self._servers: list[asyncio.Server] = []
        self._descriptors: dict[str, list[int]] = {}  # of listening sockets, by the name of their address
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def statistics(self) -> Statistics:
        return self.context.statistics

    @property
    def live(self) -> int:
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
        """Accept connections there; return the bound addresses (port 0 picks one). OSError as bind(2) does.

        `begin` connects a user to an upstream; without it users go to the fleet, by TLS with certificates. Transparent
        sockets accept connections to foreign addresses, where the kernel allows that. `inherited` sockets of a
        predecessor listen there already.
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
        self._descriptors.setdefault(ListenAddress(host, port, begin, mode).name, []).extend(
            sock.fileno() for sock in sockets
        )
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
            if self._freebind:
                unhosted = await _bound_freely(host, port)
                return [await loop.create_server(protocol, sock=sock, backlog=BACKLOG) for sock in unhosted]
            return [await loop.create_server(protocol, host or None, port, backlog=BACKLOG)]
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise OSError(error.errno, f"cannot listen on {shown((host, port))}: {why}") from None

    def offer(self) -> dict[str, list[int]]:
        """Return descriptors of the listening sockets by name, for a successor."""
        return self._descriptors

    @property
    def dialer(self) -> Dialer | None:
        """The fleet of forwarded users, if there is one."""
        return self._dialer

    def leaving(self) -> list[Departure]:
        """Return connections that another process can resume now; others drain first."""
        return [each for each in self._movable() if each.downstream.drain()]

    def _movable(self) -> Iterator[Departure]:
        for each in self._downstreams():
            if isinstance(each.upstream, FleetUpstream) and each.upstream.can_move(self._dialer):
                yield Departure(each, each.upstream)

    def _downstreams(self) -> list[Downstream]:
        return [member for member in self.context.table if isinstance(member, Downstream)]

    async def adopt(self, sock: socket.socket, client: Client, snapshot: ConnectionSnapshot) -> None:
        assert self._dialer is not None
        upstream = FleetUpstream(self.context, self._dialer, client=client)
        accounting = Accounting.resumed(self.context, snapshot)
        downstream = Downstream(self.context, lambda found: found.connect(upstream), accounting)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: downstream, sock)

    def stay(self) -> None:
        """Keep connections that were about to leave."""
        for each in self._movable():
            each.stay()

    async def retire(self) -> None:
        """Stop accepting, since a successor does; connections go on, and idle ones are closed soon."""
        loop = asyncio.get_running_loop()
        for descriptor in (each for descriptors in self._descriptors.values() for each in descriptors):
            loop.remove_reader(descriptor)
        for _ in range(3):  # turns of the loop, in which accepted sockets become connections
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
        self.context.table.sweep()  # last: the next sweep is due even if it raises

    def broke(self, context: dict[str, Any]) -> None:
        """Report an uncaught exception, as the loop describes it; no connection is affected."""
        error = context.get("exception")
        self.context.report("gateway", f"{context.get('message', '')}: {error!r}" if error else context["message"])

    def watch(self, watcher: Callable[[ConnectionRecord], None]) -> None:
        self.context.watchers.append(watcher)

    def packets(self) -> Iterator[Mapping[Address, int]]:
        """Yield for each open connection its packets with new content, by replica."""
        return (each.upstream.delivery.served for each in self._downstreams() if each.upstream is not None)

    def figures(self) -> dict[str, object]:
        return {**asdict(self.statistics), "live": self.live, "unread_bytes": self.context.memory.held_bytes}


async def _bound_freely(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound as `create_server` does, to addresses that the machine need not have."""
    find = asyncio.get_running_loop().getaddrinfo
    with ExitStack() as undo:
        bound = list[socket.socket]()
        for family, *_, place in await find(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            bound.append(sock := undo.enter_context(socket.socket(family, socket.SOCK_STREAM)))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bind_freely(sock)
            sock.bind(place)
        undo.pop_all()
    return bound
