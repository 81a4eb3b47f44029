"""A live connection leaves for another process: its engine rests, and nothing lies between that and the socket."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.client import Client
from trickles.gateway.accounting import ConnectionSnapshot
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream


@dataclass(frozen=True, slots=True)
class Departure:
    """A connection that may leave now; `stay` and `gone` end the rest that `packed` begins."""

    downstream: Downstream
    upstream: FleetUpstream

    def packed(self) -> tuple[Client, ConnectionSnapshot, int]:
        """Stand still; return the engine, what else there is to know, and a descriptor of the socket."""
        snapshot, descriptor = self.downstream.snapshot()
        return self.upstream.suspend(), snapshot, descriptor

    def stay(self) -> None:
        """Go on here: the other process does not."""
        if self.downstream.stay():
            self.upstream.wake()

    def gone(self) -> None:
        """Forget it: the other process goes on."""
        self.downstream.gone()
