"""Packets: a datagram with its addresses and the rest of its path."""

from __future__ import annotations

from typing import Protocol

Address = tuple[str, int]

HEADER_BYTES = 28  # IPv4 (20, RFC 791) and UDP (8, RFC 768): counted in every serialisation time


class Hop(Protocol):
    """A hop of a packet's path."""

    def send(self, packet: Packet) -> None: ...


class PacketTarget(Protocol):
    """The end of a packet's path."""

    def receive(self, packet: Packet) -> None: ...


class Packet:
    """One packet under way; `wire_bytes` counts its headers.

    `data` is a UDP payload. Packets of another kind (ICMP, TCP) have a `note` instead, which links do not read.
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
        """Return the same packet at the same point of its path, with other `data` if given."""
        twin = Packet(self.data if data is None else data, self.wire_bytes, self.source, self.destination, self.note)
        twin.path, twin.hop, twin.target = self.path, self.hop, self.target
        return twin


def forward(packet: Packet) -> None:
    """Pass a packet to the next link of its path, or after the last one to its target."""
    hop = packet.hop
    if hop < len(packet.path):
        packet.hop = hop + 1
        packet.path[hop].send(packet)
    elif packet.target is not None:
        packet.target.receive(packet)
