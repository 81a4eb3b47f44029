"""Events that a client engine gives its driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trickles.service import Buffer
from trickles.wire.kinds import Address


@dataclass(frozen=True, slots=True)
class Connected:
    """The handshake is complete; `identity` is the fleet's public key."""

    identity: bytes


@dataclass(frozen=True, slots=True)
class Data:
    """Output bytes, in order."""

    chunks: list[Buffer]


@dataclass(frozen=True, slots=True)
class End:
    """The output stream ended; nothing follows."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection cannot go on; `reason` is a short word for logs."""

    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Statistics of a connection's replicas: packets with new content, round trips, and the cost of failovers."""

    served: Mapping[Address, int]
    latencies_us: Mapping[Address, int]
    failovers: int
    longest_stall_us: int


ClientEvent = Connected | Data | End | Failed
