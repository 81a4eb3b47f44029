"""Trickles: a transport whose servers keep nothing about their clients.

All that a transfer needs travels to the client, sealed, and comes back with each of its packets, so that any replica
that holds the keyring can answer any packet.
"""

__all__: list[str] = []
