"""Requests that a service is working on, and when their clients get notices."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

from trickles.listener.responder import Grant
from trickles.service import Deferred

_SLACK = 64  # stale entries, beyond as many as wait, before the heap is rebuilt


class Waiting:
    """Grants by their deferred replies. Due times lie in a heap; stale ones are dropped at its top."""

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
        """Add a waiting request, or a further due time of one: its client gets a notice at `due`."""
        serial = next(self._serial)
        self._grants[deferred] = grant, serial
        if due is not None:
            if len(self._due) > 2 * len(self._grants) + _SLACK:
                self._due = [entry for entry in self._due if self._stands(entry)]
                heapify(self._due)
            heappush(self._due, (due, serial, deferred))

    def remove(self, deferred: Deferred) -> Grant | None:
        """Remove a request; return its grant, None when it did not wait."""
        known = self._grants.pop(deferred, None)
        return known[0] if known is not None else None

    @property
    def next_due(self) -> int | None:
        while self._due and not self._stands(self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def pop_due(self, now: int) -> list[tuple[Deferred, Grant]]:
        """Return the requests that are due; they wait on, without a due time until they are added again."""
        ready = []
        while (due := self.next_due) is not None and due <= now:
            _, _, deferred = heappop(self._due)
            ready.append((deferred, self._grants[deferred][0]))
        return ready

    def set_back(self, step: int) -> None:
        """Adjust to a clock that was set back by `step`: the waits are unchanged."""
        self._due = [(due - step, serial, deferred) for due, serial, deferred in self._due]
        for grant, _ in self._grants.values():
            grant.now -= step

    def _stands(self, entry: tuple[int, int, Deferred]) -> bool:
        known = self._grants.get(entry[2])
        return known is not None and known[1] == entry[1]
