"""Offers of the continuation of the next range to a client that has not requested it yet."""

from __future__ import annotations

_AGAIN = 8  # replies later: an offer takes room from data, and is rarely lost


class Offers:
    """Offers of the ranges of one response, each when less than `early_bytes` of the range before are not requested."""

    def __init__(self, early_bytes: int) -> None:
        self._early_bytes = early_bytes
        self._offered_at = -1  # the stop after which the last range was offered
        self._since = 0

    def is_due(self, asked: int, stop: int) -> bool:
        """Return whether to offer the range after `stop` to a client that has requested all below `asked`."""
        if asked < stop - self._early_bytes:
            return False
        self._since += 1
        if self._offered_at == stop and self._since < _AGAIN:
            return False
        self._offered_at, self._since = stop, 0
        return True
