"""The departure of a live connection to another process, while its engine rests."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.client import Client
from trickles.gateway.accounting import ConnectionSnapshot
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream


@dataclass(frozen=True, slots=True)
class Departure:
    """A connection that may leave now; after `packed` call `stay` or `gone`."""

    downstream: Downstream
    upstream: FleetUpstream

    def packed(self) -> tuple[Client, ConnectionSnapshot, int]:
        """Suspend the connection; return the engine, the other state, and a descriptor of the socket."""
        snapshot, descriptor = self.downstream.snapshot()
        return self.upstream.suspend(), snapshot, descriptor

    def stay(self) -> None:
        if self.downstream.stay():
            self.upstream.wake()

    def gone(self) -> None:
        """Forget the connection: the other process has it."""
        self.downstream.gone()
