"""The end of a user's connection whose answer is complete: all of it is taken, then both sides close."""

from __future__ import annotations

import asyncio
from typing import final

from trickles.gateway import tcp
from trickles.gateway.limits import GatewayLimits


@final
class Linger:
    """Half-closes, and waits for the user to close too; one that has had its time and takes no more is not waited for.

    Closing at once would reset a user that still writes, and might cost it the end of the answer.
    """

    def __init__(self, transport: asyncio.Transport, limits: GatewayLimits) -> None:
        tcp.half_close(transport)
        self._transport = transport
        self._limits = limits
        self._unread_bytes = 0  # of the answer, when last looked at
        self._taken_at = 0.0  # when the user last took some of them
        self._timer = asyncio.get_running_loop().call_later(limits.linger, self._look)

    def cancel(self) -> None:
        """Wait no more."""
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
