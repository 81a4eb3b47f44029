"""Requests of a dead replica move to others a few at a time, as fast as these take them.

A gateway may have thousands of requests at one replica: parked event streams. Repeated all at once, most would wait in
the others' sockets for longer than a retransmission timeout; clients would repeat them again, and the fleet would make
each stream two or three times. So requests of at most MOST_MOVING connections are on their way; each connection whose
request some replica is at work on lets the next one go. That may be another request than the one that moved: a
continuation that has expired is renewed first. Should nothing be heard of them, as many go every MOVE_EVERY. Those that
wait for their turn are patient (`InFlight.patience`), since they were at work.

Nearly all of them have nothing to get, and the others should not wait for them. A client cannot know which these are,
but it knows which requests wait for the same news: their notices name a subject. Once another replica has answered a
request, those of the same subject go first, also if that was up to RECENT before the death was noticed. A wrong guess,
or a fleet that names subjects at random, changes the order only.
"""

from __future__ import annotations

from collections.abc import Callable

from trickles.client.requests import InFlight
from trickles.limits import MILLISECOND, SECOND

MOST_MOVING = 64
MOVE_EVERY = 100 * MILLISECOND
RECENT = SECOND  # more than the time in which a death is noticed
MOST_SUBJECTS = 4096  # that had news; those whose news are oldest are forgotten first
Repeat = Callable[[int], None]
Move = tuple[bytes, Repeat]


class Moves:
    """Requests to be repeated, in order; `due` is when more of them go although nothing was heard."""

    def __init__(self) -> None:
        self.due: int | None = None
        self._urgent: dict[InFlight, Move] = {}  # there are news of their subjects
        self._waiting: dict[InFlight, Move] = {}
        self._by_subject: dict[bytes, list[InFlight]] = {}  # those that wait, or have waited
        self._news_at: dict[bytes, int] = {}  # by subject, oldest first
        self._moving: set[bytes] = set()  # connections by name
        self._going = False

    def add(self, request: InFlight, name: bytes, repeat: Repeat, now: int) -> None:
        """Call `repeat` with the time once it is the turn of that request, of the connection of that name."""
        subject = request.subject
        if self._news_at.get(subject, -RECENT) > now - RECENT:
            self._urgent[request] = name, repeat
        else:
            self._waiting[request] = name, repeat
            if subject:
                self._by_subject.setdefault(subject, []).append(request)

    def news(self, subject: bytes, now: int) -> None:
        """Note that there are news of that subject."""
        self._news_at.pop(subject, None)
        self._news_at[subject] = now
        if len(self._news_at) > MOST_SUBJECTS:
            del self._news_at[next(iter(self._news_at))]
        for request in self._by_subject.pop(subject, ()):
            if (move := self._waiting.pop(request, None)) is not None:
                self._urgent[request] = move

    def taken(self, name: bytes, now: int) -> None:
        """Note that a replica is at work on a request of that connection: the next one may go."""
        if name in self._moving:
            self._moving.remove(name)
            self.go_on(now)

    def over(self, request: InFlight) -> None:
        """Note that a request need not be repeated any more."""
        self._urgent.pop(request, None)
        self._waiting.pop(request, None)

    def go_on(self, now: int) -> None:
        """Let requests go, as many as may be on their way."""
        if self._going:
            return  # called by one that goes
        if self.due is not None and self.due <= now:
            self._moving.clear()
        self._going = True
        try:
            while (first := self._urgent or self._waiting) and len(self._moving) < MOST_MOVING:
                request = next(iter(first))
                name, repeat = first.pop(request)
                self._moving.add(name)
                repeat(now)
        finally:
            self._going = False
        if not self._waiting:
            self._by_subject.clear()
        self.due = now + MOVE_EVERY if self._urgent or self._waiting else None
