"""The gateway: TCP towards its users, Trickles towards the replicas, so that unmodified clients work."""

from __future__ import annotations

from trickles.gateway.context import Statistics
from trickles.gateway.limits import GatewayLimits
from trickles.gateway.server import Gateway

__all__ = ["Gateway", "GatewayLimits", "Statistics"]
