"""Addresses of hosts, and the paths between them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import Literal

from trickles.testing.clock import Clock
from trickles.testing.packet import HEADER_BYTES, Address, Hop, Packet, forward

Spray = Literal["random", "round_robin", "hash"]


class Node:
    """A host: what it sends crosses its `outgoing` hops and then the receiver's `incoming` ones.

    A hop is a `Link`, or anything else that handles packets on the way. The core between the two takes no time. Hosts
    that share a bottleneck list the same `Link`.
    """

    def __init__(self, name: str, outgoing: Sequence[Hop] = (), incoming: Sequence[Hop] = ()) -> None:
        self.name = name
        self.outgoing = tuple(outgoing)
        self.incoming = tuple(incoming)

    def receive(self, packet: Packet) -> None:
        """Take an arrived packet; subclasses define this."""
        raise NotImplementedError


class Anycast:
    """One address of several hosts, chosen for each packet (ECMP spraying) or by its source (`hash`)."""

    def __init__(self, nodes: Sequence[Node], spray: Spray, rng: Random) -> None:
        if not nodes:
            raise ValueError("an anycast address needs hosts")
        self.nodes = list(nodes)
        self._spray = spray
        self._rng = rng
        self._turn = -1

    def pick(self, source: Address) -> Node:
        nodes = self.nodes
        if self._spray == "random":
            return nodes[self._rng.randrange(len(nodes))]
        if self._spray == "hash":
            digest = blake2b(f"{source[0]}:{source[1]}".encode(), digest_size=8).digest()  # neighbours look unlike
            return nodes[int.from_bytes(digest) % len(nodes)]
        self._turn = (self._turn + 1) % len(nodes)
        return nodes[self._turn]


class Network:
    """Delivers packets to addresses; packets to addresses without a host are counted and dropped."""

    __slots__ = ("_clock", "_homes", "unroutable")

    def __init__(self, clock: Clock) -> None:
        self.unroutable = 0
        self._clock = clock
        self._homes: dict[Address, Node | Anycast] = {}

    def attach(self, address: Address, home: Node | Anycast) -> None:
        """Deliver packets for `address` to that host, even after the host has left it."""
        self._homes[address] = home

    def send(self, sender: Node, source: Address, destination: Address, data: bytes) -> None:
        self.launch(sender, Packet(data, len(data) + HEADER_BYTES, source, destination))

    def launch(self, sender: Node, packet: Packet) -> None:
        home = self._homes.get(packet.destination)
        if home is None:
            self.unroutable += 1
            return
        packet.target = target = home.pick(packet.source) if isinstance(home, Anycast) else home
        packet.path = path = sender.outgoing + target.incoming
        if path:
            forward(packet)
        else:
            self._clock.at(self._clock.now, forward, packet)  # never call the receiver from within the sender
