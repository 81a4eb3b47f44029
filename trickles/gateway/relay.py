"""Plain TCP between a program and a host that belongs to no fleet: bytes, half-closes, resets and back-pressure."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from trickles.gateway import guide, tcp
from trickles.gateway.account import Completion
from trickles.gateway.forward import Opening
from trickles.gateway.guide import NotReached, PassThrough
from trickles.gateway.program import Program
from trickles.gateway.shared import Shared
from trickles.gateway.targets import Target

WINDOW_BYTES = 1 << 17  # in a transport's buffer, in each direction: then the other side is not read from


class Relay(Program):
    """One program and the far end it asked for."""

    def __init__(self, shared: Shared, passing: PassThrough, target: Target, opening: Opening) -> None:
        super().__init__(shared)
        self._passing = passing
        self._target = target
        self._opening = opening
        self._far: FarEnd | None = None
        self._reaching: asyncio.Task[None] | None = None
        self.was_reached = False
        self._far_ended = False
        self._early = bytearray()  # what the program wrote before the far end was reached

    def begin(self) -> None:
        """Reach for the far end."""
        assert self._transport is not None
        self._transport.set_write_buffer_limits(high=WINDOW_BYTES)
        self._stop_reading()
        self._reaching = asyncio.get_running_loop().create_task(self._reach())

    async def _reach(self) -> None:
        try:
            async with asyncio.timeout(self._shared.limits.reach):
                *others, last = await self._passing.places(self._target)
                for place in others:
                    try:
                        return await self._connect(place)
                    except OSError:
                        continue
                await self._connect(last)
        except NotReached as error:
            self._not_reached(str(error))
        except TimeoutError:
            self._not_reached(guide.NO_ANSWER)
        except OSError as error:
            self._not_reached(guide.REFUSED if error.errno == errno.ECONNREFUSED else guide.NOT_REACHED)

    async def _connect(self, place: Target) -> None:
        """By a socket whose port is known beforehand: a connection from there that comes in here is a loop."""
        loop, relaying = asyncio.get_running_loop(), self._shared.relaying
        sock = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
        port = 0
        try:
            sock.setblocking(False)
            sock.bind(("", 0))
            port = sock.getsockname()[1]
            relaying.add(port)
            far = FarEnd(self, lambda: relaying.discard(port))
            await loop.sock_connect(sock, place)
            await loop.create_connection(lambda: far, sock=sock)
        except BaseException:
            relaying.discard(port)
            sock.close()
            raise

    def _not_reached(self, reason: str) -> None:
        self._reaching = None
        if not self._over:
            self.blame(reason)
            self.farewell(self._opening.failure(reason))

    def reached(self, far: FarEnd) -> None:
        """The far end is there."""
        transport = self._transport
        if self._over or transport is None:
            far.reset()
            return
        self._far, self.was_reached = far, True
        if self._opening.success:
            transport.write(self._opening.success)
        if self._early:
            far.write(bytes(self._early))
            self._early.clear()
        self._read_on()
        if self._half_closed:
            far.write_eof()

    # from the program

    def data_received(self, data: bytes) -> None:
        """The program wrote."""
        if self._over:
            return
        self._took(len(data))
        self._shared.live.stirred(self)
        if self._far is None:
            self._early += data
        else:
            self._far.write(data)

    def eof_received(self) -> bool:
        """The program closed its half."""
        self._half_closed = True
        if self._far_ended and not self._over:
            self._complete()
        elif self._far is not None:
            self._far.write_eof()
        return not self._over

    def pause_writing(self) -> None:
        """The program reads slowly."""
        if self._far is not None:
            self._far.pause()

    def resume_writing(self) -> None:
        """The program has caught up."""
        if self._far is not None:
            self._shared.live.stirred(self)
            self._far.go_on()

    # from the far end

    def far_data(self, data: bytes) -> None:
        """The far end wrote."""
        if self._transport is not None and not self._over:
            self._gave(len(data))
            self._shared.live.stirred(self)
            self._transport.write(data)

    def far_eof(self) -> None:
        """The far end closed its half: what the program still writes goes there."""
        self._far_ended = True
        if self._half_closed and not self._over:
            self._complete()
        elif self._transport is not None and not self._over:
            tcp.half_close(self._transport)

    def far_lost(self, exc: Exception | None) -> None:
        """The far end is gone."""
        self._far = None
        if self._over:
            return
        if exc is not None:
            self.failed("far end reset")
        else:
            self._complete()

    def _complete(self) -> None:
        self._shared.tally.completed += 1
        self._ending = Completion.COMPLETE, ""
        self.farewell()

    def far_paused(self, *, paused: bool) -> None:
        """The far end reads slowly, or has caught up."""
        if paused and self._reading and not self._over:
            self._stop_reading()
        elif not paused:
            self._read_on()

    # what the crowd asks and does

    @property
    def settled(self) -> bool:
        """Never: nobody here knows what is under way, so that the end of the gateway is a reset."""
        return False

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be read; how long that has lasted is not known here."""
        transport = self._transport
        return not self._over and self._far is not None and transport is not None and not tcp.unread_bytes(transport)

    def release(self) -> None:
        """Let go of the far end: in order if the program left so, else by a reset."""
        far, self._far = self._far, None
        if self._reaching is not None:
            self._reaching.cancel()
            self._reaching = None
        if far is not None:
            far.leave(in_order=self._half_closed)


class FarEnd(asyncio.Protocol):
    """The connection to the far end."""

    def __init__(self, near: Relay, gone: Callable[[], None]) -> None:
        self._near = near
        self._gone = gone
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Reached."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=WINDOW_BYTES)
        self._transport = transport
        self._near.reached(self)

    def data_received(self, data: bytes) -> None:
        """For the program."""
        self._near.far_data(data)

    def eof_received(self) -> bool:
        """Its half is closed; the other may stay open."""
        self._near.far_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._transport = None
        self._gone()
        self._near.far_lost(exc)

    def pause_writing(self) -> None:
        """It reads slowly."""
        self._near.far_paused(paused=True)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._near.far_paused(paused=False)

    def write(self, data: bytes) -> None:
        """From the program."""
        if self._transport is not None:
            self._transport.write(data)

    def write_eof(self) -> None:
        """The program closed its half."""
        if self._transport is not None:
            tcp.half_close(self._transport)

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Read on."""
        if self._transport is not None:
            self._transport.resume_reading()

    def leave(self, *, in_order: bool) -> None:
        """The program is gone."""
        if self._transport is not None and in_order:
            self._transport.close()
        else:
            self.reset()

    def reset(self) -> None:
        """At once."""
        if self._transport is not None:
            tcp.reset(self._transport)
