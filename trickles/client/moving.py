"""Requests of a dead replica move to others a few at a time, as fast as these take them.

A gateway may have thousands of requests at one replica: parked event streams. Repeated all at once, most would wait in
the others' sockets for longer than a retransmission timeout; clients would repeat them again, and the fleet would make
each stream two or three times. So at most MOST_MOVING are on their way; each that a replica is at work on, or has
answered, lets the next one go. Should nothing be heard of them, as many go every MOVE_EVERY. Those that wait for their
turn are patient (`InFlight.patience`), since they were at work.
"""

from __future__ import annotations

from collections.abc import Callable

from trickles.client.requests import InFlight
from trickles.limits import MILLISECOND

MOST_MOVING = 64
MOVE_EVERY = 100 * MILLISECOND


class Moves:
    """Requests to be repeated, in order; `due` is when more of them go although nothing was heard."""

    def __init__(self) -> None:
        self.due: int | None = None
        self._waiting: dict[InFlight, Callable[[int], None]] = {}
        self._moving: set[InFlight] = set()
        self._going = False

    def add(self, request: InFlight, repeat: Callable[[int], None]) -> None:
        """Call `repeat` with the time once it is the turn of that request."""
        self._waiting[request] = repeat

    def taken(self, request: InFlight, now: int) -> None:
        """Note that a replica is at work on a request: the next one may go."""
        if request in self._moving:
            self._moving.remove(request)
            self.go_on(now)

    def over(self, request: InFlight) -> None:
        """Note that a request need not be repeated any more."""
        self._waiting.pop(request, None)
        self._moving.discard(request)

    def go_on(self, now: int) -> None:
        """Let requests go, as many as may be on their way."""
        if self._going:
            return  # called by one that goes
        if self.due is not None and self.due <= now:
            self._moving.clear()
        self._going = True
        try:
            while self._waiting and len(self._moving) < MOST_MOVING:
                request = next(iter(self._waiting))
                repeat = self._waiting.pop(request)
                self._moving.add(request)
                repeat(now)
        finally:
            self._going = False
        self.due = now + MOVE_EVERY if self._waiting else None
