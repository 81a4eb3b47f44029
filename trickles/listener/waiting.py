"""Requests that a service is at work on, and when each client should hear that it need not ask elsewhere."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

from trickles.listener.responder import Grant
from trickles.service import Deferred

_SLACK = 64  # entries of requests that are over, beyond as many as wait, before the heap is made anew


class Waiting:
    """Grants by the reply they wait for. Due times lie in a heap; those of what is over go when they surface."""

    def __init__(self) -> None:
        self._grants: dict[Deferred, tuple[Grant, int]] = {}
        self._due: list[tuple[int, int, Deferred]] = []
        self._serial = count()

    def __len__(self) -> int:
        return len(self._grants)

    def clear(self) -> None:
        self._grants.clear()
        self._due.clear()

    def add(self, deferred: Deferred, grant: Grant, due: int | None) -> None:
        """That request waits, and its client should hear of it at `due`; it may have waited before."""
        serial = next(self._serial)
        self._grants[deferred] = grant, serial
        if due is not None:
            if len(self._due) > 2 * len(self._grants) + _SLACK:
                self._due = [entry for entry in self._due if self._stands(entry)]
                heapify(self._due)
            heappush(self._due, (due, serial, deferred))

    def remove(self, deferred: Deferred) -> Grant | None:
        """It waits no more; its grant, None when it did not."""
        known = self._grants.pop(deferred, None)
        return known[0] if known is not None else None

    @property
    def next_due(self) -> int | None:
        """The earliest due time."""
        while self._due and not self._stands(self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def pop_due(self, now: int) -> list[tuple[Deferred, Grant]]:
        """Those whose time has come; each waits on, without a due time until it is added again."""
        ready = []
        while (due := self.next_due) is not None and due <= now:
            _, _, deferred = heappop(self._due)
            ready.append((deferred, self._grants[deferred][0]))
        return ready

    def set_back(self, step: int) -> None:
        """The clock was set back by so much: all have waited as long, and are due as soon, as they were."""
        self._due = [(due - step, serial, deferred) for due, serial, deferred in self._due]
        for grant, _ in self._grants.values():
            grant.now -= step

    def _stands(self, entry: tuple[int, int, Deferred]) -> bool:
        known = self._grants.get(entry[2])
        return known is not None and known[1] == entry[1]
