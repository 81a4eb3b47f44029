"""The client engine: one connection, all of its state, no sockets and no clock."""

from __future__ import annotations

from trickles.client.config import ClientConfig
from trickles.client.engine import Client
from trickles.client.events import ClientEvent, Connected, Data, End, Failed
from trickles.client.fleet import Policy
from trickles.client.snapshot import Snapshot, parse_snapshot_untrusted

__all__ = [
    "Client",
    "ClientConfig",
    "ClientEvent",
    "Connected",
    "Data",
    "End",
    "Failed",
    "Policy",
    "Snapshot",
    "parse_snapshot_untrusted",
]
