"""Port forwarding: a Trickles connection for each TCP one; bytes, half-closes, resets and back-pressure cross."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trickles.drivers.addresses import shown
from trickles.drivers.connection import Connection
from trickles.gateway import tcp
from trickles.gateway.shared import Shared
from trickles.service import Buffer


class Forwarder(asyncio.Protocol):
    """One TCP connection and its Trickles connection."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.client = "unknown client"  # its host address
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1  # of the program's socket, where bytes may be written past the transport: not under TLS
        self._connection: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._half_closed = False  # by the program
        self._input_ended = False  # in its place: what it still writes is dropped
        self._over = False  # ended, failed or refused: nothing more crosses
        self._unread_bytes = 0  # of a complete answer, when last looked at
        self._taken_at = 0.0  # when the program last took some of them

    # TCP side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A program connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if transport.get_extra_info("sslcontext") is None:
            self._descriptor = transport.get_extra_info("socket").fileno()
        self.client = (transport.get_extra_info("peername") or (self.client,))[0]
        shared = self._shared
        if (reason := shared.live.refusal(self.client)) is not None:
            shared.tally.refused += 1
            self._tell(reason)
            self._reset()
            return
        window_bytes = shared.window_bytes()
        shared.live.join(self)
        shared.tally.accepted += 1
        transport.set_write_buffer_limits(high=min(shared.limits.output_high_water, window_bytes))
        self._connection = shared.dialer.dial(self, window_bytes)
        self._after(shared.limits.speak_first_after, self._start)

    def data_received(self, data: bytes) -> None:
        """The program wrote; the first bytes ride on the handshake. What comes behind a complete answer is dropped."""
        connection = self._connection
        if connection is None or self._over or self._input_ended:
            return
        self._shared.tally.bytes_in += len(data)
        self._shared.live.asked(self, len(data))
        connection.client.write(data)
        self._start()
        if self._reading and self._waiting_bytes() > self._shared.limits.input_high_water:
            self._stop_reading()

    def eof_received(self) -> bool:
        """The program closed its half; the answer still goes back."""
        self._half_closed = True
        if self._connection is not None and not self._over:
            self._connection.client.write_eof()
            self._start()
        return not self._over

    def connection_lost(self, exc: Exception | None) -> None:
        """The program is gone: so is the connection, of which no server knows."""
        if not self._over:
            self._shared.tally.reset += exc is not None
            self._finish()
        self._shared.live.leave(self)
        self._cancel()
        self._transport = None
        self._descriptor = -1

    def pause_writing(self) -> None:
        """The program reads slowly: stop asking the replicas for more."""
        if self._connection is not None:
            self._connection.paused = True

    def resume_writing(self) -> None:
        """The program has caught up."""
        if self._connection is not None:
            self._shared.live.stirred(self)
            self._connection.resume()

    def _start(self) -> None:
        connection = self._connection
        assert connection is not None
        if not connection.started:
            self._cancel()
            connection.start()
        connection.flush_now()

    def _waiting_bytes(self) -> int:
        return len(self._connection.client.state.input) if self._connection is not None else 0

    # Trickles side

    def data(self, chunks: list[Buffer]) -> None:
        """Output bytes in order."""
        transport = self._transport
        if transport is not None:
            self._shared.tally.bytes_out += sum(map(len, chunks))
            self._shared.live.answered(self, more=self._waiting_bytes() > 0)
            if self._descriptor >= 0 and not transport.get_write_buffer_size():
                chunks = tcp.written_at_once(self._descriptor, chunks)
            if chunks:
                transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def consumed(self) -> None:
        """The server took some of the input."""
        if not self._reading and self._waiting_bytes() < self._shared.limits.input_high_water // 2:
            self._read_on()

    def ended(self) -> None:
        """The output is complete: close after its last byte, and let the program close too.

        Closing while it still writes would reset the connection and might cost it the end of the answer.
        """
        self._shared.tally.completed += 1
        self._finish()
        transport = self._transport
        if transport is None:
            return
        if self._half_closed or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        self._read_on()
        self._after(self._shared.limits.linger, self._lingered)

    def failed(self, reason: str) -> None:
        """The transfer cannot go on: the program must notice, so the connection is reset."""
        if not self._over:
            self._shared.tally.fail(reason)
            self._tell(reason)
            self._finish()
        self._reset()

    # what the crowd asks and does

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and the program has read all."""
        connection, transport = self._connection, self._transport
        return connection is not None and transport is not None and connection.idle and not tcp.unread_bytes(transport)

    @property
    def held_back(self) -> bool:
        """Whether it is not read from, or does not read itself."""
        return not self._reading or (self._connection is not None and self._connection.paused)

    def end_input(self) -> None:
        """Its request was not complete in time: go on as if it had closed its half, and let the server answer that."""
        if self._connection is not None and not self._over and not self._half_closed:
            self._shared.tally.timed_out += 1
            self._tell("request not complete in time")
            self._input_ended = True
            self._connection.client.write_eof()
            self._start()

    # the end

    def stop(self, reason: str) -> None:
        """An idle connection is closed, another fails."""
        if self._transport is not None and self._connection is not None and self._connection.idle:
            self._finish()
            self._transport.close()
        else:
            self.failed(reason)

    def _finish(self) -> None:
        self._over = True
        self._cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._shared.tally.failovers += connection.client.state.failovers
            connection.close()

    def _lingered(self) -> None:
        """The program had time to close; while it still takes the answer it gets more."""
        transport = self._transport
        if transport is None:
            return
        limits, now, unread = self._shared.limits, asyncio.get_running_loop().time(), tcp.unread_bytes(transport)
        if unread != self._unread_bytes:
            self._unread_bytes, self._taken_at = unread, now
        if unread == 0:
            transport.close()
        elif now - self._taken_at > limits.stuck:
            self._reset()
        else:
            self._after(limits.linger, self._lingered)

    def _reset(self) -> None:
        if self._transport is not None:
            tcp.reset(self._transport)

    def _stop_reading(self) -> None:
        assert self._transport is not None
        self._reading = False
        self._transport.pause_reading()
        self._after(self._shared.limits.look_every, self._look)

    def _read_on(self) -> None:
        if not self._reading and self._transport is not None:
            self._cancel()
            self._reading = True
            self._transport.resume_reading()

    def _look(self) -> None:
        """Who is not read from can go unnoticed: the loop does not watch its socket."""
        transport = self._transport
        if transport is not None and tcp.is_gone(transport):
            self._read_on()  # which meets the reset
        else:
            self._after(self._shared.limits.look_every, self._look)

    def _tell(self, reason: str) -> None:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        self._shared.report(shown(peer) if peer else "unknown client", reason)

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        self._cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
