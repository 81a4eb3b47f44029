"""A gateway process: listening sockets, its dialer, its figures; ends cleanly on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer
from trickles.gateway.certificates import Certificates
from trickles.gateway.crowd import Crowd
from trickles.gateway.forward import Forwarder
from trickles.gateway.limits import DEFAULT_LIMITS, GatewayLimits
from trickles.gateway.program import Program
from trickles.gateway.shared import Shared, Tally, untold
from trickles.gateway.tls import TlsLayer
from trickles.gateway.transparent import make_transparent
from trickles.wire.kinds import Address

Accept = Callable[[Shared], Program]
BACKLOG = 1024
Beside = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway listens, and for what, as `Gateway.listen` takes it."""

    host: str
    port: int
    accept: Accept | None = None
    mode: str = "forward"


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
        self, host: str, port: int, accept: Accept | None = None, *, transparent: bool = False
    ) -> list[Address]:
        """Accept connections there; returns the bound addresses (port 0 picks one). OSError as bind(2) does.

        `accept` makes what serves one of them; without it they are forwarded to the fleet, by TLS with certificates.
        `transparent` sockets take connections to addresses that are not this machine's, where the kernel allows that.
        """
        loop = asyncio.get_running_loop()
        protocol = self._protocol if accept is None else partial(accept, self._shared)
        try:
            server = await loop.create_server(protocol, host or None, port, backlog=BACKLOG)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise OSError(error.errno, f"cannot listen on {shown((host, port))}: {why}") from None
        self._servers.append(server)
        self.own_ports.update(sock.getsockname()[1] for sock in server.sockets)
        for sock in server.sockets if transparent else ():
            make_transparent(sock)
        for sock in server.sockets:  # what they accept inherits it: programs whose machine vanished are noticed
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._sweeping is None:
            self._sweep()
        return [(sock.getsockname()[0], sock.getsockname()[1]) for sock in server.sockets]

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
        self._shared.live.look()
        self._sweeping = asyncio.get_running_loop().call_later(self._shared.limits.sweep_every, self._sweep)

    def broke(self, context: dict[str, Any]) -> None:
        """What the loop says of an exception that nobody caught: no other connection notices."""
        error = context.get("exception")
        self._shared.report("gateway", f"{context.get('message', '')}: {error!r}" if error else context["message"])

    def figures(self) -> dict[str, object]:
        """What it has done, for status files and logs."""
        return {**asdict(self.tally), "live": self.live}


async def serve(
    gateway: Gateway,
    listen: Sequence[Place],
    *,
    ready: Callable[[list[str]], None],
    tick: Callable[[], None] | None = None,
    every: float = 1.0,
    reload: Callable[[], None] | None = None,
    beside: Sequence[Beside] = (),
) -> None:
    """Listen, tell `ready` the bound addresses, and serve until SIGTERM or SIGINT; OSError as bind(2) does.

    An address is `HOST:PORT` as text, for anything but forwarding with the mode and @ before it.

    `tick` is called at once and then about every `every` seconds, `reload` on SIGHUP; what is `beside` runs as long.
    What breaks inside is reported as the gateway's own.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.set_exception_handler(lambda _, context: gateway.broke(context))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, reload)
    tasks: list[asyncio.Task[None]] = []
    try:
        ready([text for place in listen for text in await _listening(gateway, place)])
        tasks += [_started(gateway, each) for each in beside]
        while not stop.is_set():
            if tick is not None:
                tick()
            try:
                await asyncio.wait_for(stop.wait(), every)
            except TimeoutError:
                continue
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await gateway.close()


async def _listening(gateway: Gateway, place: Place) -> list[str]:
    transparent = place.mode == "transparent"
    bound = await gateway.listen(place.host, place.port, place.accept, transparent=transparent)
    return [("" if place.mode == "forward" else f"{place.mode}@") + shown(address) for address in bound]


def _started(gateway: Gateway, each: Beside) -> asyncio.Task[None]:
    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            gateway.broke({"message": "it does not go on", "exception": error})

    task = asyncio.get_running_loop().create_task(each())
    task.add_done_callback(ended)
    return task
