"""Proofs that datagrams of a size pass to an address: given with pongs, shown by restarts, remembered by nobody.

Whoever raises the size of its datagrams shows that one of that size arrived, at that address, within the last two hours
at most. The proof is a keyed hash under the fleet's epoch, so any replica gives and checks it; it belongs to no
connection, so that a client may keep it for the next one.
"""

from __future__ import annotations

from hmac import compare_digest

from trickles.keyring import Epoch, Keyring, Purpose
from trickles.limits import Limits

PROOF_BYTES = 8


def size_proof(ring: Keyring, address: bytes, size: int, *, now: int, limits: Limits) -> int:
    """What shows for one to two periods that a datagram of `size` bytes reached `address` (16 bytes)."""
    return int.from_bytes(_proof(ring.newest(now), address, size, now // limits.size_proof_period), "big")


def size_proved(ring: Keyring, proof: int, address: bytes, size: int, *, now: int, limits: Limits) -> bool:
    """True when that is a proof of this period or the one before; or of the next one, by a clock that is ahead.

    Looked at are the epochs that sealed then, and not all that are held: the work for a false proof is bounded.
    """
    shown, period, ahead = proof.to_bytes(PROOF_BYTES, "big"), limits.size_proof_period, now + limits.clock_skew
    periods = {now // period - 1, now // period, ahead // period}
    epochs = {ring.newest(at) for at in (now - 2 * period, now - period, now, ahead)}
    return any(compare_digest(_proof(epoch, address, size, at), shown) for epoch in epochs for at in periods)


def _proof(epoch: Epoch, address: bytes, size: int, period: int) -> bytes:
    context = address + size.to_bytes(4, "big") + max(period, 0).to_bytes(8, "big")
    return epoch.derive(Purpose.SIZE, context, PROOF_BYTES)
