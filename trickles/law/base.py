"""What a window law must be: integer, pure, non-decreasing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Law:
    """A named window function; `window(j, start, ssthresh)` is in packets and must never decrease in j.

    Tiling (every packet number earned exactly once) holds for any such function and for no other reason.
    """

    identifier: int
    name: str
    window: Callable[[int, int, int], int]
