"""The gateway: TCP on the client's side, Trickles towards the replicas, so that unmodified programs work."""

from __future__ import annotations

from trickles.gateway.forward import Forwarder, Tally

__all__ = ["Forwarder", "Tally"]
