"""The shared context of a gateway's connections: bounds, the table of live ones, statistics, and watchers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from trickles.gateway import tcp
from trickles.gateway.accesslog import ConnectionRecord
from trickles.gateway.connection_table import ConnectionTable, Member
from trickles.gateway.limits import DEFAULT_LIMITS, GatewayLimits
from trickles.gateway.output_memory import OutputMemory

KEPT_SHARES = 5  # of the memory for output divided by the live connections: uploads are rare


@dataclass(slots=True)
class Statistics:
    """Counts of a gateway since its start."""

    accepted: int = 0
    refused: int = 0  # over a bound of live connections
    completed: int = 0
    failed: int = 0
    reset: int = 0  # by the user
    timed_out: int = 0  # incomplete requests
    bytes_in: int = 0
    bytes_out: int = 0
    failovers: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        self.failed += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def no_report(_client: str, _reason: str) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class GatewayContext:
    """Shared by a gateway's connections; `report` gets a client's address and the reason of a failed transfer."""

    table: ConnectionTable
    limits: GatewayLimits = DEFAULT_LIMITS
    report: Callable[[str, str], None] = no_report
    statistics: Statistics = field(default_factory=Statistics)
    watchers: list[Callable[[ConnectionRecord], None]] = field(default_factory=list)  # of each connection that is over
    memory: OutputMemory = field(init=False)
    space: memoryview = field(default_factory=lambda: memoryview(bytearray(1 << 16)))  # for one read of plain TCP
    direct_ports: set[int] = field(default_factory=set)  # the local ports of plain TCP connections to hosts

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", OutputMemory(self.limits))

    def admit(self, member: Member, transport: asyncio.Transport) -> bool:
        """Add a connection to the table; if there is no room, reset it and return False."""
        if (reason := self.table.refusal(member.client)) is None:
            self.table.join(member)
            return True
        self.statistics.refused += 1
        self.report(tcp.peer(transport), reason)
        tcp.reset(transport)
        return False

    @property
    def kept_input_bytes(self) -> int:
        """Bytes of spooled input that a new connection keeps, in case the spool loses it: fewer with more connections.

        It is a power of two times a constant, so that there are few values.
        """
        share = max(self.limits.output_bytes // (2 * len(self.table) + 2), self.limits.least_window_bytes)
        return KEPT_SHARES << share.bit_length() - 1
