"""The time that a user's connection spends with one upstream: its bytes, its target, and the record of its end."""

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
    """A connection as it moves to another process: what is neither in its engine nor in its socket."""

    began: float  # seconds since 1970
    bytes_in: int
    bytes_out: int
    input_ended: bool


@final
@dataclass(slots=True, eq=False)
class Accounting:
    """Counts what crosses, for the record of its end and for the gateway's statistics."""

    _context: GatewayContext
    target: str = ""  # where the user wants to go, in the modes that know
    bytes_in: int = 0  # from the user
    bytes_out: int = 0
    input_ended: bool = False  # it began so
    _began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @classmethod
    def resumed(cls, context: GatewayContext, snapshot: ConnectionSnapshot) -> Self:
        """Go on with one that began in another process."""
        began = asyncio.get_running_loop().time() - (time.time() - snapshot.began)
        return cls(context, "", snapshot.bytes_in, snapshot.bytes_out, snapshot.input_ended, began)

    def snapshot(self, *, input_ended: bool) -> ConnectionSnapshot:
        """Return it as another process goes on with it."""
        began = time.time() - (asyncio.get_running_loop().time() - self._began)
        return ConnectionSnapshot(began, self.bytes_in, self.bytes_out, input_ended)

    def note_input(self, size_bytes: int) -> None:
        self.bytes_in += size_bytes
        self._context.statistics.bytes_in += size_bytes

    def note_output(self, size_bytes: int) -> int:
        """Count output; return how much there was towards this upstream."""
        self.bytes_out += size_bytes
        self._context.statistics.bytes_out += size_bytes
        return self.bytes_out

    def end(self, client: str, completion: Completion, reason: str, delivery: Delivery) -> None:
        """Show its record to those who watch."""
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
