"""Back-pressure towards a user: it is not read from for a while, and noticed all the same if it goes meanwhile."""

from __future__ import annotations

import asyncio
from typing import final

from trickles.gateway import tcp


@final
class ReadGate:
    """Stops and resumes reading from one transport; the loop does not watch a shut one, so a timer looks for resets."""

    __slots__ = ("_look_every", "_timer", "_transport")

    def __init__(self, look_every: float) -> None:
        self._look_every = look_every
        self._transport: asyncio.Transport | None = None  # while it is shut
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_shut(self) -> bool:
        """True while the user is not read from."""
        return self._transport is not None

    def shut(self, transport: asyncio.Transport | None) -> None:
        """Read no more."""
        if transport is not None and self._transport is None:
            self._transport = transport
            transport.pause_reading()
            self._watch(transport)

    def open(self) -> None:
        """Read on."""
        transport = self._transport
        self.forget()
        if transport is not None:
            transport.resume_reading()

    def forget(self) -> None:
        """Look no more: the connection is gone."""
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
