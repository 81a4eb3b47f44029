"""Bounds of a claim's row that all engines of the ledger share."""

from __future__ import annotations

from trickleweb.plain import StateTooLarge

HOUR = 3600 * 1_000_000
KEEP = 26 * HOUR  # microseconds, longer than the life of any user continuation
PLAN_BYTES = 1 << 20


def check_plan(plan: bytes, most_bytes: int) -> None:
    """Raise `StateTooLarge` for a plan that a row does not hold."""
    if len(plan) > most_bytes:
        raise StateTooLarge(
            f"a response plan of {len(plan)} bytes does not fit the ledger: keep its body in another store"
        )
