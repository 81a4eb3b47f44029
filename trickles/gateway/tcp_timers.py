"""Timers of a user's TCP connection: for resets while it is not read from, for silent departures, and for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import final

from trickles.gateway import tcp
from trickles.gateway.limits import GatewayLimits


@final
class ReadGate:
    """Stops and resumes reading from one transport; while it is shut, a timer checks for resets."""

    __slots__ = ("_look_every", "_timer", "_transport")

    def __init__(self, look_every: float) -> None:
        self._look_every = look_every
        self._transport: asyncio.Transport | None = None  # while it is shut
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_shut(self) -> bool:
        return self._transport is not None

    def shut(self, transport: asyncio.Transport | None) -> None:
        if transport is not None and self._transport is None:
            self._transport = transport
            transport.pause_reading()
            self._watch(transport)

    def open(self) -> None:
        transport = self._transport
        self.forget()
        if transport is not None:
            transport.resume_reading()

    def forget(self) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, transport: asyncio.Transport) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._look_every, self._look, transport)

    def _look(self, transport: asyncio.Transport) -> None:
        if tcp.is_gone(transport):
            self.open()  # which meets the reset
        else:
            self._watch(transport)


@final
class HalfCloseWatch:
    """Calls `left` once the output of a half-closed connection has not grown for `patience` seconds.

    A user that closes its socket and one that half-closes it send the same segment: only a write shows the difference.
    `output` returns the bytes written so far, None while the user has not read them all.
    """

    def __init__(self, patience: float, output: Callable[[], int | None], left: Callable[[], object]) -> None:
        self._patience = patience
        self._output = output
        self._left = left
        self._seen = output()
        self._timer = asyncio.get_running_loop().call_later(patience, self._look)

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        output = self._output()
        if output is not None and output == self._seen:
            self._left()
        else:
            self._seen = output
            self._timer = asyncio.get_running_loop().call_later(self._patience, self._look)


@final
class Linger:
    """Half-closes, and waits for the user to close too, but not for one that reads nothing any more.

    Closing at once would reset a user that still writes, which might lose the end of the answer.
    """

    def __init__(self, transport: asyncio.Transport, limits: GatewayLimits) -> None:
        tcp.half_close(transport)
        self._transport = transport
        self._limits = limits
        self._unread_bytes = 0  # of the answer, at the last check
        self._taken_at = 0.0  # time of the user's last read
        self._timer = asyncio.get_running_loop().call_later(limits.linger, self._look)

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        loop, transport = asyncio.get_running_loop(), self._transport
        unread = tcp.unread_bytes(transport)
        if unread != self._unread_bytes:
            self._unread_bytes, self._taken_at = unread, loop.time()
        if unread == 0:
            transport.close()
        elif loop.time() - self._taken_at > self._limits.stuck:
            tcp.reset(transport)
        else:
            self._timer = loop.call_later(self._limits.linger, self._look)
