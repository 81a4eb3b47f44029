"""The forwarding port: every user is connected to one fleet."""

from __future__ import annotations

from trickles.drivers.dialer import Dialer
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream


def forwarded(dialer: Dialer, downstream: Downstream) -> None:
    """Connect a user to that fleet."""
    downstream.connect(FleetUpstream(downstream.context, dialer))
