"""Medians, paired ratios and percentiles of small samples."""

import math
from collections.abc import Sequence
from statistics import median
from typing import TypeVar

__all__ = ["median", "paired_ratio", "percentile", "rotated"]

T = TypeVar("T")


def paired_ratio(values: Sequence[float], reference: Sequence[float]) -> float | None:
    """Median of the ratios round by round, so that a slow round weighs on both; None without a common round."""
    ratios = [value / other for value, other in zip(values, reference, strict=False) if other > 0]
    return median(ratios) if ratios else None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the sample does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def rotated(items: Sequence[T], turn: int) -> list[T]:
    """The items starting from another one each turn, so that no peer always runs first."""
    if not items:
        return []
    start = turn % len(items)
    return [*items[start:], *items[:start]]
