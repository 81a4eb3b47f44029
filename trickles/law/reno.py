"""Reno in closed form: slow start, one flat round, then one packet per window (RFC 5681)."""

from __future__ import annotations

from math import isqrt

from trickles.law.base import Law


def window(acked: int, start: int, ssthresh: int) -> int:
    """Return the congestion window in packets after `acked` packets of the episode."""
    plateau = max(start, ssthresh)
    grown = acked - (plateau - start)
    if grown < 0:  # slow start, RFC 5681 section 3.1
        return start + acked
    grown -= plateau
    if grown < 0:  # one flat round at the threshold
        return plateau
    return (isqrt(1 + 4 * plateau * (plateau + 1) + 8 * grown) + 1) // 2


RENO = Law(1, "reno", window)
