"""The hand-made client of the product's tools, at the address that tests send from."""

from trickles.tools.peer import OpenedPacket, Peer
from trickles.wire.kinds import Address
from trickles.wire.request import Run

SOURCE: Address = ("192.0.2.7", 40_000)

__all__ = ["SOURCE", "OpenedPacket", "Peer", "Run"]
