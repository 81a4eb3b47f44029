"""Counters of events by name, cheap enough to stay on."""

from __future__ import annotations

from collections import Counter


class Counters(Counter[str]):
    """Event counts by dotted name, such as `refused.expired`; missing names count zero."""

    def hit(self, name: str, amount: int = 1) -> None:
        self[name] += amount
