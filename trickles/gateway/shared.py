"""What the connections of a gateway share: their dialer, their bounds, who is live, and what is counted and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from trickles.drivers.dialer import Dialer
from trickles.gateway.account import Account
from trickles.gateway.crowd import Crowd
from trickles.gateway.limits import DEFAULT_LIMITS, GatewayLimits


@dataclass(slots=True)
class Tally:
    """What a gateway has done since it started."""

    accepted: int = 0
    refused: int = 0  # over a bound of live connections
    completed: int = 0
    failed: int = 0
    reset: int = 0  # by the program
    timed_out: int = 0  # requests that were not complete in time
    bytes_in: int = 0
    bytes_out: int = 0
    failovers: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Count a transfer that could not go on."""
        self.failed += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def untold(_client: str, _reason: str) -> None:
    """For gateways that tell nobody."""


@dataclass(frozen=True, slots=True)
class Shared:
    """One for each gateway; `report` is told the client's address and why its transfer could not go on."""

    live: Crowd
    limits: GatewayLimits = DEFAULT_LIMITS
    report: Callable[[str, str], None] = untold
    tally: Tally = field(default_factory=Tally)
    watchers: list[Callable[[Account], None]] = field(default_factory=list)  # told of each connection that is over
    relaying: set[int] = field(default_factory=set)  # the local ports of connections that are passed through

    def window_bytes(self, dialer: Dialer) -> int:
        """The receive window of a new connection: its share of the memory for slow readers, as a power of two.

        A connection may hold a little over twice its window, half of that in the buffer of its transport.
        """
        share = max(self.limits.output_bytes // (2 * len(self.live) + 2), self.limits.least_window_bytes)
        return min(1 << share.bit_length() - 1, dialer.window_bytes)
