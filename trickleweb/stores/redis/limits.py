"""Bounds of stores in Redis."""

from __future__ import annotations

from dataclasses import dataclass

from trickleweb.stores.claim_rows import KEEP, PLAN_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLimits:
    """Times in seconds, but for `keep`, which is in microseconds."""

    call_s: float = 5.0  # one call, with its wait for others: a client asks again meanwhile
    connect_s: float = 5.0  # a lost segment of the handshake is sent again after 1 and 3 seconds
    least_pause_s: float = 0.05  # before the second attempt to connect; doubled each time
    most_pause_s: float = 2.0  # a server that comes back is used after that time at most
    batch_calls: int = 256  # in one pipeline
    batch_bytes: int = 4 << 20  # in one pipeline: the server does nothing else meanwhile
    lease_s: float = 10.0  # a process that did not renew its lease for so long counts as dead: see `leases`
    plan_bytes: int = PLAN_BYTES
    doubtful_keys: int = 10_000  # claims without a reply; 100 bytes each
    keep: int = KEEP
