"""The type of a window law: integer, pure, non-decreasing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Law:
    """A named window function; `window(j, start, ssthresh)` is in packets and must never decrease in j.

    Tiling (every packet number earned exactly once) needs nothing else of the function.
    """

    identifier: int
    name: str
    window: Callable[[int, int, int], int]
