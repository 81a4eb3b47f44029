"""One stream of a feed: its position, as steps whose cursors lead any replica on from there.

A cursor is [id, state]. States, and the bytes of the step that follows from each:

 OPENING  `retry:`, once, at the beginning of a response
 READING  the next event after the id
 BEATING  a heartbeat (a comment), then READING

Heartbeats come by the clock, and must not differ between replicas that make the same range of a response. So before
one is sent the cursor in its place becomes BEATING, by an empty step, and a server begins a new range there
(`Beat`): a replica that resumes from it makes the heartbeat at once, without a clock.
"""

from __future__ import annotations

import json

from trickleweb.bodies.events import EventGap, ServerSentEvent, StreamState
from trickleweb.bodies.steps import Step
from trickleweb.errors import StateRefused
from trickleweb.events.feed import Encoded, Feed, Listener
from trickleweb.plain import Plain

HEARTBEAT = b": \n\n"
GAP_EVENT = "gap"


class EventReader:
    """The steps of one stream; `ended` after the last one. Raises `StateRefused` for a cursor of another kind."""

    def __init__(self, feed: Feed, cursor: Plain, *, heartbeat: float, retry_ms: int) -> None:
        try:
            known, state = cursor
            self._known, self._state = str(known), StreamState(state)
        except (TypeError, ValueError):
            raise StateRefused("a cursor of no event stream") from None
        self._feed = feed
        self.ended = False
        self.heartbeat = heartbeat
        self._retry_ms = retry_ms

    def ready(self) -> list[Step] | None:
        """Return the steps that need no waiting, perhaps none; None if `fetch` has to find out."""
        found = self._due()
        events = self._feed.after(self._known)
        if events is None:
            return found or None
        return found + self._taken(*events)

    async def fetch(self) -> list[Step]:
        """Return steps read from the source, perhaps none."""
        try:
            return self._taken(*await self._feed.read(self._known))
        except EventGap as gap:
            missed = ServerSentEvent(json.dumps({"after": self._known, "resumed": gap.resume}), GAP_EVENT, gap.resume)
            return self._taken([Encoded(gap.resume, missed.encode())], False)

    def beat(self) -> list[Step]:
        """Return the steps of a heartbeat; the first one, without data, moves the cursor to it."""
        return [(b"", [self._known, StreamState.BEATING]), (HEARTBEAT, [self._known, StreamState.READING])]

    def listen(self, listener: Listener) -> None:
        """Call `listener` at each change of the feed, until `leave`."""
        self._feed.listen(listener)

    def leave(self, listener: Listener) -> None:
        """Do not call `listener` any more."""
        self._feed.leave(listener)

    def _due(self) -> list[Step]:
        state, self._state = self._state, StreamState.READING
        after = [self._known, StreamState.READING]
        if state is StreamState.OPENING:
            return [(b"retry: %d\n\n" % self._retry_ms, after)]
        return [(HEARTBEAT, after)] if state is StreamState.BEATING else []

    def _taken(self, events: list[Encoded], ended: bool) -> list[Step]:
        if events:
            self._known = events[-1].id
        self.ended = ended
        return [(each.data, [each.id, StreamState.READING]) for each in events]
