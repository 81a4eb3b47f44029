"""Statistics of links and hosts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum


class Fate(Enum):
    """Reasons of lost packets; the numbers enter the digest."""

    QUEUE = 1
    MTU = 2
    LOST = 3
    CHOSEN = 4
    BLACKHOLE = 5
    CHECKSUM = 6


@dataclass(slots=True)
class LinkStats:
    """Counts of one link, in packets unless named bytes; `offered` is delivered (without duplicates) plus dropped."""

    offered: int = 0
    offered_bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    queue_peak: int = 0
    queue_time: int = 0  # microseconds all packets together waited for the wire
    dropped: Counter[Fate] = field(default_factory=Counter)

    def snapshot(self) -> LinkStats:
        return replace(self, dropped=Counter(self.dropped))


@dataclass(slots=True)
class HostStats:
    """Counts of one host: UDP payloads in and out, and packets in vain."""

    received: int = 0
    received_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    in_vain: int = 0  # for an address it has no more, or while dead
    overflowed: int = 0  # the receive buffer was full
    lives: int = 0  # processes started (replicas)
    unreachable: int = 0  # ICMP port-unreachable messages sent (replicas) or seen (clients)

    def snapshot(self) -> HostStats:
        return replace(self)
