"""Accounting of a user's connection with one upstream: its bytes, its target, and the record of its end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Self, final

from trickles.client.events import Delivery
from trickles.gateway.accesslog import Completion, ConnectionRecord
from trickles.gateway.context import GatewayContext


@dataclass(frozen=True, slots=True)
class ConnectionSnapshot:
    """A connection's state for another process, besides its engine and its socket."""

    began: float  # seconds since 1970
    bytes_in: int
    bytes_out: int
    input_ended: bool


@final
@dataclass(slots=True, eq=False)
class Accounting:
    """Counts bytes, for the record of the connection and for the gateway's statistics."""

    _context: GatewayContext
    target: str = ""  # the user's destination, in modes that know it
    bytes_in: int = 0  # from the user
    bytes_out: int = 0
    input_ended: bool = False  # at the beginning already
    _began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @classmethod
    def resumed(cls, context: GatewayContext, snapshot: ConnectionSnapshot) -> Self:
        began = asyncio.get_running_loop().time() - (time.time() - snapshot.began)
        return cls(context, "", snapshot.bytes_in, snapshot.bytes_out, snapshot.input_ended, began)

    def snapshot(self, *, input_ended: bool) -> ConnectionSnapshot:
        began = time.time() - (asyncio.get_running_loop().time() - self._began)
        return ConnectionSnapshot(began, self.bytes_in, self.bytes_out, input_ended)

    def note_input(self, size_bytes: int) -> None:
        self.bytes_in += size_bytes
        self._context.statistics.bytes_in += size_bytes

    def note_output(self, size_bytes: int) -> int:
        """Count output; return the total with this upstream."""
        self.bytes_out += size_bytes
        self._context.statistics.bytes_out += size_bytes
        return self.bytes_out

    def end(self, client: str, completion: Completion, reason: str, delivery: Delivery) -> None:
        lasted = asyncio.get_running_loop().time() - self._began
        record = ConnectionRecord(
            client=client,
            began=time.time() - lasted,
            duration=lasted,
            completion=completion,
            reason=reason,
            target=self.target,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            replicas=dict(delivery.served),
            latencies_us=dict(delivery.latencies_us),
            failovers=delivery.failovers,
            longest_stall_us=delivery.longest_stall_us,
        )
        for watcher in self._context.watchers:
            watcher(record)
