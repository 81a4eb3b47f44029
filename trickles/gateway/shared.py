"""What the connections of a gateway share: their dialer, their bounds, who is live, and what is counted and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from trickles.drivers.dialer import Dialer


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """Bounds of a gateway; times are seconds."""

    most_connections: int = 8192  # live TCP connections; one more is reset
    input_high_water: int = 1 << 18  # bytes from a program that replicas have not taken: then reading pauses
    output_high_water: int = 1 << 20  # bytes for a program that it has not read: then no more is asked for
    output_bytes: int = 1 << 29  # for slow readers, all together: the more there are, the less is kept for a new one
    least_window_bytes: int = 1 << 16  # of one connection, however many there are
    speak_first_after: float = 0.01  # a program that waits for the server's first word gets its connection by then
    look_every: float = 5.0  # whether a program that is not read from is still there
    linger: float = 5.0  # how long a program may go on writing after the answer is complete
    stuck: float = 60.0  # how long it may take none of a complete answer


DEFAULT_LIMITS = GatewayLimits()


@dataclass(slots=True)
class Tally:
    """What a gateway has done since it started."""

    accepted: int = 0
    refused: int = 0  # over the bound of live connections
    completed: int = 0
    failed: int = 0
    reset: int = 0  # by the program
    bytes_in: int = 0
    bytes_out: int = 0
    failovers: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Count a transfer that could not go on."""
        self.failed += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


class Live(Protocol):
    """A connection that a gateway may have to end."""

    def stop(self, reason: str) -> None:
        """End it: the program sees a reset where something was under way."""


def untold(_client: str, _reason: str) -> None:
    """For gateways that tell nobody."""


@dataclass(frozen=True, slots=True)
class Shared:
    """One for each gateway; `report` is told the client's address and why its transfer could not go on."""

    dialer: Dialer
    limits: GatewayLimits = DEFAULT_LIMITS
    report: Callable[[str, str], None] = untold
    tally: Tally = field(default_factory=Tally)
    live: set[Live] = field(default_factory=set)

    def refuses(self) -> bool:
        """Whether there is no room for one more connection."""
        return len(self.live) >= self.limits.most_connections

    def window_bytes(self) -> int:
        """The receive window of a new connection: its share of the memory for slow readers, as a power of two.

        A connection may hold a little over twice its window, half of that in the buffer of its transport.
        """
        share = max(self.limits.output_bytes // (2 * len(self.live) + 2), self.limits.least_window_bytes)
        return min(1 << share.bit_length() - 1, self.dialer.window_bytes)
