"""The gateway: TCP towards its users, Trickles towards the replicas, so that unmodified clients work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trickles.faces import at_first_use

if TYPE_CHECKING:
    from trickles.gateway.context import Statistics
    from trickles.gateway.limits import GatewayLimits
    from trickles.gateway.server import Gateway

__all__ = ["Gateway", "GatewayLimits", "Statistics"]

__getattr__ = at_first_use(
    "trickles.gateway", {"Gateway": "server", "GatewayLimits": "limits", "Statistics": "context"}
)
