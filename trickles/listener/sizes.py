"""Proofs that datagrams of a size pass to an address: issued with pongs, shown by restarts, stored by clients only.

A client that raises its datagram size shows that one of that size arrived at its address within the last two hours. The
proof is a keyed hash under the fleet's epoch, so any replica issues and checks it; it belongs to no connection, so that
a client may use it for later ones.
"""

from __future__ import annotations

from functools import lru_cache

from trickles.keyring import Keyring, Purpose, expand
from trickles.limits import Limits

PROOF_BYTES = 8


def size_proof(ring: Keyring, address: bytes, size: int, *, now: int, limits: Limits) -> int:
    """Return a proof, valid for one to two periods, that a datagram of `size` bytes reached `address` (16 bytes)."""
    return _proof(ring.newest(now).key, address, size, now // limits.size_proof_period)


def size_proved(ring: Keyring, proof: int, address: bytes, size: int, now: int, limits: Limits) -> bool:
    """Return True for a proof of this period or the one before; or of the next one, by a clock that is ahead.

    Only epochs that sealed then are tried, so the work for a false proof is bounded.
    """
    period = limits.size_proof_period
    if proof == _proof(ring.newest(now).key, address, size, now // period):  # as in most cases
        return True
    ahead = now + limits.clock_skew
    keys = {ring.newest(at).key for at in (now, now - period, now - 2 * period, ahead)}
    periods = {now // period, now // period - 1, ahead // period}
    return any(_proof(key, address, size, at) == proof for key in keys for at in periods)


@lru_cache(maxsize=1024)
def _proof(key: bytes, address: bytes, size: int, period: int) -> int:
    context = address + size.to_bytes(4, "big") + max(period, 0).to_bytes(8, "big")
    return int.from_bytes(expand(key, Purpose.SIZE, context, PROOF_BYTES), "big")
