"""A host without a fleet as an upstream, by plain TCP: bytes, half-closes, resets and back-pressure."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import final

from trickles.client.events import Delivery
from trickles.gateway import routing, tcp
from trickles.gateway.context import GatewayContext
from trickles.gateway.routing import DirectAccess, Target, Unreachable
from trickles.gateway.upstream import NOTHING_DELIVERED, Activity, Callbacks


@final
class TcpUpstream(asyncio.BufferedProtocol):
    """A connection to a host; input waits here until the host is reached.

    It reads at most the window of its user at once, since all of that may have to wait.
    """

    window_bytes = 1 << 17
    delivery: Delivery = NOTHING_DELIVERED

    def __init__(self, context: GatewayContext, access: DirectAccess, target: Target) -> None:
        self._context = context
        self._access = access
        self._target = target
        self._downstream: Callbacks | None = None  # until `close`
        self._dialing: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._port = 0  # of this end
        self._early = bytearray()  # input before the host was reached
        self._input_ended = False
        self._output_ended = False

    @property
    def activity(self) -> Activity:
        """Unknown once the host is reached: an answer may be due, or not."""
        return Activity.BUSY if self._transport is None else Activity.UNKNOWN

    @property
    def waiting_bytes(self) -> int:
        return len(self._early) if self._transport is None else self._transport.get_write_buffer_size()

    # from the user

    def start(self, downstream: Callbacks) -> None:
        self._downstream = downstream
        self._dialing = asyncio.get_running_loop().create_task(self._dial())

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._early += data
        else:
            self._transport.write(data)

    def send_eof(self) -> None:
        """Half-close; the end if the host has done so before."""
        self._input_ended = True
        if self._output_ended and self._downstream is not None:
            self._downstream.ended()
        elif self._transport is not None:
            tcp.half_close(self._transport)

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def request_timed_out(self) -> None: ...  # requests are not parsed here

    def close(self) -> None:
        """Close the connection if the user has ended its input, else reset it."""
        self._downstream = None
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        if self._transport is not None:
            if self._input_ended:
                self._transport.close()
            else:
                tcp.reset(self._transport)

    # towards the host

    async def _dial(self) -> None:
        try:
            async with asyncio.timeout(self._context.limits.reach):
                *others, last = await self._access.places(self._target)
                for place in others:
                    try:
                        return await self._connect(place)
                    except OSError:
                        continue
                await self._connect(last)
        except Unreachable as error:
            self._fail(str(error))
        except TimeoutError:
            self._fail(routing.NO_ANSWER)
        except OSError as error:
            self._fail(routing.REFUSED if error.errno == errno.ECONNREFUSED else routing.NOT_REACHED)

    async def _connect(self, place: Target) -> None:
        """Connect with a port known beforehand: an incoming connection from that port is a loop."""
        loop, ports = asyncio.get_running_loop(), self._context.direct_ports
        sock = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
        try:
            sock.setblocking(False)
            sock.bind(("", 0))
            self._port = sock.getsockname()[1]
            ports.add(self._port)
            await loop.sock_connect(sock, place)
            await loop.create_connection(lambda: self, sock=sock)
        except BaseException:
            ports.discard(self._port)
            sock.close()
            raise

    def _fail(self, reason: str) -> None:
        self._dialing = None
        if self._downstream is not None:
            self._downstream.failed(reason)

    # from the host

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._downstream is None:
            tcp.reset(transport)
            return
        high = min(self.window_bytes, self._context.limits.input_high_water // 2) - 1
        transport.set_write_buffer_limits(high=high)  # below the mark of `consumed`, so that `resume_writing` is called
        self._downstream.connected()
        if self._early:
            transport.write(bytes(self._early))
            self._early.clear()
        self._downstream.consumed()
        if self._input_ended:
            tcp.half_close(transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the name is asyncio's
        window_bytes = self._downstream.share.window_bytes() if self._downstream is not None else 1
        return self._context.space[: max(window_bytes, 1)]

    def buffer_updated(self, nbytes: int) -> None:
        if self._downstream is not None:
            self._downstream.data([bytes(self._context.space[:nbytes])])

    def eof_received(self) -> bool:
        """Pass on the host's half-close; input still goes to it."""
        self._output_ended = True
        if self._downstream is not None:
            if self._input_ended:
                self._downstream.ended()
            else:
                self._downstream.output_ended()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._context.direct_ports.discard(self._port)
        self._transport = None
        if self._downstream is not None:
            if exc is not None:
                self._downstream.failed("far end reset")
            else:
                self._downstream.ended()

    def resume_writing(self) -> None:
        if self._downstream is not None:
            self._downstream.consumed()
