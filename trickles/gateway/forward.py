"""Port forwarding: a Trickles connection for each TCP one; bytes, half-closes, resets and back-pressure cross."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from trickles.drivers.connection import Connection
from trickles.drivers.dialer import Dialer
from trickles.service import Buffer

INPUT_HIGH_WATER = 1 << 18
OUTPUT_HIGH_WATER = 1 << 20


@dataclass(slots=True)
class Tally:
    """What a gateway has done since it started."""

    accepted: int = 0
    refused: int = 0
    completed: int = 0
    failed: int = 0
    reset: int = 0
    bytes_out: int = 0
    failovers: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Count a transfer that could not go on."""
        self.failed += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


class Forwarder(asyncio.Protocol):
    """One TCP connection and its Trickles connection."""

    def __init__(self, dialer: Dialer, tally: Tally, live: set[Forwarder], most: int) -> None:
        self._dialer = dialer
        self._tally = tally
        self._live = live
        self._most = most
        self._transport: asyncio.Transport | None = None
        self._connection: Connection | None = None
        self._reading = True
        self._done = False

    @classmethod
    def factory(cls, dialer: Dialer, tally: Tally, live: set[Forwarder], most: int = 8192) -> Callable[[], Forwarder]:
        """What an asyncio server calls for each connection; beyond `most` live ones new ones are reset."""
        return lambda: cls(dialer, tally, live, most)

    # TCP side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A program connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._live) >= self._most:
            self._tally.refused += 1
            transport.abort()
            return
        transport.set_write_buffer_limits(high=OUTPUT_HIGH_WATER)
        self._tally.accepted += 1
        self._live.add(self)
        try:
            self._connection = self._dialer.dial(self)
        except OSError:
            self.failed("no socket")

    def data_received(self, data: bytes) -> None:
        """The program wrote; the first bytes ride on the handshake."""
        connection = self._connection
        if connection is None:
            return
        connection.client.write(data)
        self._start(connection)
        if self._reading and len(connection.client.state.input) > INPUT_HIGH_WATER and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The program closed its half; the answer still goes back."""
        if self._connection is not None:
            self._connection.client.write_eof()
            self._start(self._connection)
        return not self._done

    def connection_lost(self, exc: Exception | None) -> None:
        """The program is gone: so is the connection, of which no server knows."""
        if not self._done and exc is not None:
            self._tally.reset += 1
        self._finish()

    def pause_writing(self) -> None:
        """The program reads slowly: stop asking the replicas for more."""
        if self._connection is not None:
            self._connection.paused = True

    def resume_writing(self) -> None:
        """The program has caught up."""
        if self._connection is not None:
            self._connection.resume()

    def _start(self, connection: Connection) -> None:
        if connection.started:
            connection.flush()
        else:
            connection.start()

    # Trickles side

    def data(self, chunks: list[Buffer]) -> None:
        """Output bytes in order."""
        if self._transport is not None:
            size = sum(map(len, chunks))
            self._tally.bytes_out += size
            self._transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def consumed(self) -> None:
        """The server took some of the input."""
        connection, transport = self._connection, self._transport
        if self._reading or connection is None or transport is None:
            return
        if len(connection.client.state.input) < INPUT_HIGH_WATER // 2:
            self._reading = True
            transport.resume_reading()

    def ended(self) -> None:
        """The output is complete: close after the last byte."""
        self._tally.completed += 1
        self._done = True
        if self._transport is not None:
            self._transport.close()
        self._finish()

    def failed(self, reason: str) -> None:
        """The transfer cannot go on: the program must notice, so the connection is reset."""
        self._tally.fail(reason)
        self._done = True
        if self._transport is not None:
            self._transport.abort()
        self._finish()

    def _finish(self) -> None:
        self._live.discard(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            self._tally.failovers += connection.client.state.failovers
            self._dialer.learn(connection.client)
            connection.close()
