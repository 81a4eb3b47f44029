"""Trickles: a transport whose servers keep nothing about their clients.

The state of a transfer travels to the client, sealed, and comes back with each of its packets, so any replica that
holds the keyring can answer any packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trickles.faces import at_first_use

if TYPE_CHECKING:
    from trickles.client import Client, ClientConfig, Policy
    from trickles.drivers.dialer import Dialer
    from trickles.drivers.process import serve
    from trickles.drivers.replica import AsyncReplica, Replica
    from trickles.drivers.stream import Stream, connect
    from trickles.keyring import Epoch, Keyring
    from trickles.limits import Limits
    from trickles.listener import Listener
    from trickles.service import Continuation, Deferred, Event, Refusal, Reply, Service

# Modules are imported on first use, so that the pure core never imports sockets.
_MODULES = {
    "client": "Client ClientConfig Policy",
    "drivers.dialer": "Dialer",
    "drivers.process": "serve",
    "drivers.replica": "AsyncReplica Replica",
    "drivers.stream": "Stream connect",
    "keyring": "Epoch Keyring",
    "limits": "Limits",
    "listener": "Listener",
    "service": "Continuation Deferred Event Refusal Reply Service",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "AsyncReplica",
    "Client",
    "ClientConfig",
    "Continuation",
    "Deferred",
    "Dialer",
    "Epoch",
    "Event",
    "Keyring",
    "Limits",
    "Listener",
    "Policy",
    "Refusal",
    "Replica",
    "Reply",
    "Service",
    "Stream",
    "connect",
    "serve",
]

__getattr__ = at_first_use("trickles", _HOMES)
