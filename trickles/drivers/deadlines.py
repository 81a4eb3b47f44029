"""One timer of the loop for the deadlines of all connections of a process.

asyncio keeps its timers in a heap, and compares them by a method in Python: among 10,000 timers one that is due costs
some 14 calls, and one that was cancelled as many. Here a deadline is an entry in a dictionary, its slot: the deadlines
of SLOT microseconds. The heap holds the numbers of slots only, and the loop has one timer, for the first one. So a
deadline may be late by a slot, less than the loop's own resolution, but is never early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush

from trickles.drivers.world import monotonic_us

SLOT = 256  # microseconds
Call = Callable[[], None]


class Deadlines:
    """Calls of the running loop at times in monotonic microseconds."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._slots: dict[int, dict[Call, None]] = {}
        self._order: list[int] = []  # a heap of the slots, those without calls included
        self._over = 0  # slots up to this one are past
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0  # its slot

    def set(self, due: int, call: Call) -> int:
        """Call `call` once, at `due` but not before the next turn of the loop; return its slot, for `cancel`."""
        slot = max(-(-due // SLOT), self._over + 1)
        calls = self._slots.get(slot)
        if calls is None:
            calls = self._slots[slot] = {}
            heappush(self._order, slot)
            if self._order[0] == slot:
                self._arm()
        calls[call] = None
        return slot

    def cancel(self, slot: int, call: Call) -> None:
        """Do not call `call` in that slot; without effect when it was called."""
        calls = self._slots.get(slot)
        if calls is not None:
            calls.pop(call, None)

    def _arm(self) -> None:
        first = self._order[0]
        if self._timer is not None:
            if self._timer_at <= first:
                return
            self._timer.cancel()
        self._timer_at = first
        self._timer = self._loop.call_later(max(first * SLOT - monotonic_us(), 0) / 1e6, self._fire)

    def _fire(self) -> None:
        """Make the calls that are due; one that raises puts the others off to the next turn of the loop."""
        self._timer = None
        slots, order = self._slots, self._order
        self._over = max(self._over, monotonic_us() // SLOT)
        try:
            while order and (order[0] <= self._over or not slots[order[0]]):
                calls = slots[order[0]]
                while calls:
                    call = next(iter(calls))
                    del calls[call]
                    call()
                del slots[heappop(order)]
        finally:
            if order:
                self._arm()
