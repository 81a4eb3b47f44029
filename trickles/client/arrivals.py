"""Packet numbers that arrived above a hole, with nonces and arrival times: a bounded set."""

from __future__ import annotations

from heapq import heappop, heappush


class Arrivals:
    """At most `most` numbers, removed lowest first in O(log n).

    One that finds no room counts as not received: it is declared lost, and its data is asked for again.
    """

    __slots__ = ("_arrived", "_most", "numbers")

    def __init__(self, most: int) -> None:
        self._most = most
        self._arrived: dict[int, tuple[int, int]] = {}  # number -> nonce and time, oldest arrival first
        self.numbers: list[int] = []  # a heap, read-only for others

    def __contains__(self, number: int) -> bool:
        return number in self._arrived

    @property
    def since(self) -> int:
        """The time of the oldest arrival."""
        return next(iter(self._arrived.values()))[1]

    def add(self, number: int, nonce: int, now: int) -> None:
        if len(self.numbers) < self._most and number not in self._arrived:
            self._arrived[number] = nonce, now
            heappush(self.numbers, number)

    def take_lowest(self) -> tuple[int, int]:
        number = heappop(self.numbers)
        return number, self._arrived.pop(number)[0]

    def discard_below(self, bound: int) -> None:
        while self.numbers and self.numbers[0] < bound:
            self.take_lowest()
