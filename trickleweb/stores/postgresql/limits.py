"""Bounds of a ledger in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

from trickleweb.stores.claim_rows import KEEP, PLAN_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLimits:
    """Times in seconds, but for `keep`, which is in microseconds."""

    call_s: float = 5.0  # one call, with its wait for a batch: a client asks again meanwhile
    connect_s: float = 5.0  # a lost segment of the handshake is sent again after 1 and 3 seconds
    beat_s: float = 2.0  # between looks at the owner's connection
    least_pause_s: float = 0.05  # before the second attempt to connect; doubled each time
    most_pause_s: float = 2.0  # a server that comes back is used after that time at most
    batch_calls: int = 256  # in one statement: rows are locked until its end
    batch_bytes: int = 4 << 20  # of plans in one statement
    plan_bytes: int = PLAN_BYTES
    doubtful_keys: int = 10_000  # claims without a reply; 100 bytes each
    keep: int = KEEP
