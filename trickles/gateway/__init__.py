"""The gateway: TCP on the client's side, Trickles towards the replicas, so that unmodified programs work."""

from __future__ import annotations

from trickles.gateway.limits import GatewayLimits
from trickles.gateway.serving import Gateway
from trickles.gateway.shared import Tally

__all__ = ["Gateway", "GatewayLimits", "Tally"]
