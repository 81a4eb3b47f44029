"""What travels: a datagram with its addresses and the links still before it."""

from __future__ import annotations

from typing import Protocol

Address = tuple[str, int]

HEADER_BYTES = 28  # IPv4 (20, RFC 791) and UDP (8, RFC 768): counted in every serialisation time


class Hop(Protocol):
    """Something a packet passes through."""

    def send(self, packet: Packet) -> None:
        """Takes a packet in."""


class PacketTarget(Protocol):
    """Something a packet ends at."""

    def receive(self, packet: Packet) -> None:
        """Takes a packet that has arrived."""


class Packet:
    """One packet under way; `wire_bytes` counts its headers.

    `data` is a UDP payload. Packets of another kind (ICMP, TCP) carry a `note` instead, which no link looks into.
    """

    __slots__ = ("data", "destination", "hop", "note", "path", "source", "target", "wire_bytes")

    def __init__(
        self, data: bytes, wire_bytes: int, source: Address, destination: Address, note: object = None
    ) -> None:
        self.data = data
        self.wire_bytes = wire_bytes
        self.source = source
        self.destination = destination
        self.note = note
        self.path: tuple[Hop, ...] = ()
        self.hop = 0
        self.target: PacketTarget | None = None

    def copy(self, data: bytes | None = None) -> Packet:
        """The same packet at the same point of its way, with other `data` if given."""
        twin = Packet(self.data if data is None else data, self.wire_bytes, self.source, self.destination, self.note)
        twin.path, twin.hop, twin.target = self.path, self.hop, self.target
        return twin


def forward(packet: Packet) -> None:
    """Hands a packet to the next link of its path, or to its target behind the last one."""
    hop = packet.hop
    if hop < len(packet.path):
        packet.hop = hop + 1
        packet.path[hop].send(packet)
    elif packet.target is not None:
        packet.target.receive(packet)
