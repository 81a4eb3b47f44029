"""Port forwarding: a Trickles connection for each TCP one; bytes, half-closes, resets and back-pressure cross."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from trickles.client import Client
from trickles.drivers.addresses import Address
from trickles.drivers.connection import Connection
from trickles.drivers.dialer import Dialer
from trickles.gateway import tcp
from trickles.gateway.account import Account, Completion
from trickles.gateway.program import Program
from trickles.gateway.shared import Shared
from trickles.service import Buffer


@dataclass(frozen=True, slots=True)
class Opening:
    """What a program is told before the server's first byte, in protocols that have such a word."""

    success: bytes
    failure: Callable[[str], bytes]  # for a reason


@dataclass(frozen=True, slots=True)
class Standing:
    """What a connection is beside its engine and its socket."""

    began: float  # seconds since 1970
    bytes_in: int
    bytes_out: int
    input_ended: bool


class Forwarder(Program):
    """One TCP connection and its Trickles connection."""

    moves = True  # whether another process can go on with it, given the engine and the socket

    def __init__(self, shared: Shared, dialer: Dialer, opening: Opening | None = None) -> None:
        super().__init__(shared)
        self._dialer = dialer
        self._welcome = opening.success if opening is not None else None  # until it was told
        self._apology = opening.failure if opening is not None else None  # as long as one can be told
        self._connection: Connection | None = None
        self._input_ended = False  # in the program's place: what it still writes is dropped
        self._high_water = 0  # of the transport's buffer
        self._leaving = False  # for another process, once the program has read what waits here

    def begin(self) -> None:
        """Dial; without a word to say first, the program's first bytes ride on the handshake."""
        shared, transport = self._shared, self._transport
        assert transport is not None
        window_bytes = shared.window_bytes(self._dialer)
        self._high_water = min(shared.limits.output_high_water, window_bytes)
        transport.set_write_buffer_limits(high=self._high_water)
        self._connection = self._dialer.dial(self, window_bytes)
        if self._welcome is None:
            self._after(shared.limits.speak_first_after, self._start)
        else:
            self._connection.on_connected = self._connected
            self._start()

    # TCP side

    def data_received(self, data: bytes) -> None:
        """The program wrote. What comes behind a complete answer is dropped."""
        connection = self._connection
        if connection is None or self._over or self._input_ended:
            return
        self._took(len(data))
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

    def pause_writing(self) -> None:
        """The program reads slowly: stop asking the replicas for more."""
        if self._connection is not None:
            self._connection.paused = True

    def resume_writing(self) -> None:
        """The program has caught up."""
        if self._connection is not None and not self._leaving:
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
        return self._connection.client.input_waiting if self._connection is not None else 0

    # Trickles side

    def _connected(self) -> None:
        welcome, self._welcome, self._apology = self._welcome, None, None
        if welcome is not None and self._transport is not None:
            self._transport.write(welcome)

    def data(self, chunks: list[Buffer]) -> None:
        """Output bytes in order."""
        transport = self._transport
        if transport is not None:
            self._gave(sum(map(len, chunks)))
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
        """The output is complete."""
        self._shared.tally.completed += 1
        self._ending = Completion.COMPLETE, ""
        self.farewell()

    def failed(self, reason: str) -> None:
        """The transfer cannot go on: said in a word if the protocol has one, else by a reset."""
        if self._apology is None or self._over:
            super().failed(reason)
            return
        self.blame(reason)
        self.farewell(self._apology(reason))

    # leaving for another process

    def leave(self, dialer: Dialer) -> bool:
        """Ask for nothing more; whether all is in its place: the engine, and nothing between it and the socket."""
        connection, transport = self._connection, self._transport
        known = self._apology is None and self._descriptor >= 0 and dialer is self._dialer
        if not known or not self.moves or self._over or connection is None or transport is None:
            return False
        if not connection.client.is_established or connection.closed or transport.is_closing():
            return False
        if not self._leaving:
            self._leaving = connection.paused = True
            transport.set_write_buffer_limits(high=0)
        return transport.get_write_buffer_size() == 0

    def packed(self) -> tuple[Client, Standing, int]:
        """The engine, what else there is to know, and a descriptor of the socket; until `stay` or `gone` it rests."""
        assert self._connection is not None
        assert self._transport is not None
        self._transport.pause_reading()
        self._connection.suspend()
        began = time.time() - (asyncio.get_running_loop().time() - self._began)
        standing = Standing(began, self.bytes_in, self.bytes_out, self._input_ended)
        return self._connection.client, standing, self._descriptor

    def stay(self) -> None:
        """Nobody goes on with it: go on here, if it was about to leave."""
        connection, transport = self._connection, self._transport
        if self._leaving and connection is not None and transport is not None:
            self._leaving = connection.paused = False
            transport.set_write_buffer_limits(high=self._high_water)
            if self._reading:
                transport.resume_reading()
            connection.wake()

    def gone(self) -> None:
        """Another process goes on with it: forget it here, so that the program notices nothing."""
        transport, self._ending = self._transport, None
        self._finish()
        if transport is not None:
            transport.abort()  # closes a descriptor, of which the other process has a duplicate

    def resume(self, transport: asyncio.BaseTransport, client: Client, standing: Standing) -> None:
        """Go on with what another process packed."""
        self._use(transport)
        self._shared.live.join(self)
        self._began = asyncio.get_running_loop().time() - (time.time() - standing.began)
        self.bytes_in, self.bytes_out, self._input_ended = standing.bytes_in, standing.bytes_out, standing.input_ended
        assert self._transport is not None
        self._high_water = min(self._shared.limits.output_high_water, client.receive_window_bytes)
        self._transport.set_write_buffer_limits(high=self._high_water)
        self._connection = self._dialer.adopt(client, self)
        self._connection.wake()

    # what is known of it

    def packets(self) -> Mapping[Address, int]:
        """Packets that brought something, by replica."""
        return self._connection.client.delivery.served if self._connection is not None else {}

    def account(self, completion: Completion, reason: str) -> Account:
        """With the replicas at work, and what their deaths cost."""
        account = super().account(completion, reason)
        if self._connection is None:
            return account
        delivery = self._connection.client.delivery
        return replace(
            account,
            replicas=dict(delivery.served),
            latencies_us=dict(delivery.latencies_us),
            failovers=delivery.failovers,
            longest_stall_us=delivery.longest_stall_us,
        )

    # what the crowd asks and does

    @property
    def settled(self) -> bool:
        """Whether nothing is under way in either direction."""
        return self._connection is not None and self._connection.idle

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

    def release(self) -> None:
        """Forget the connection, of which no server knows."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._shared.tally.failovers += connection.client.delivery.failovers
            connection.close()
