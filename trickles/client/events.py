"""What a client engine tells its driver."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.service import Buffer


@dataclass(frozen=True, slots=True)
class Connected:
    """The first answer arrived; `identity` is the fleet's public key."""

    identity: bytes


@dataclass(frozen=True, slots=True)
class Data:
    """Output bytes in order."""

    chunks: list[Buffer]


@dataclass(frozen=True, slots=True)
class End:
    """The output stream ended; nothing follows."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection cannot go on; `reason` is a short word for logs."""

    reason: str


ClientEvent = Connected | Data | End | Failed
