"""Packet numbers that have arrived above a hole, with their nonces and times of arrival: a bounded set."""

from __future__ import annotations

from heapq import heappop, heappush


class Arrivals:
    """Numbers are taken out from the lowest one up only; each step costs O(log n), whatever arrives in which order.

    There is room for `most` of them. One that finds none counts as not received: it is declared lost, and what it
    brought is asked for again.
    """

    __slots__ = ("_arrived", "_most", "numbers")

    def __init__(self, most: int) -> None:
        self._most = most
        self._arrived: dict[int, tuple[int, int]] = {}  # number -> nonce and time, oldest arrival first
        self.numbers: list[int] = []  # a heap, to look at only: the lowest comes first

    def __contains__(self, number: int) -> bool:
        return number in self._arrived

    @property
    def since(self) -> int:
        """When the oldest arrival came."""
        return next(iter(self._arrived.values()))[1]

    def add(self, number: int, nonce: int, now: int) -> None:
        """Keep a number; the first nonce that came with it stands."""
        if len(self.numbers) < self._most and number not in self._arrived:
            self._arrived[number] = nonce, now
            heappush(self.numbers, number)

    def take_lowest(self) -> tuple[int, int]:
        """Take out the lowest number; returns it and its nonce."""
        number = heappop(self.numbers)
        return number, self._arrived.pop(number)[0]

    def discard_below(self, bound: int) -> None:
        """Forget all numbers below `bound`."""
        while self.numbers and self.numbers[0] < bound:
            self.take_lowest()
