"""One stream of a feed: its position, as steps whose cursors lead any replica on from there.

A cursor is [id, state]. States, and the bytes of the step that follows from each:

 OPENING  `retry:`, once, at the beginning of a response
 READING  the next event after the id

Heartbeats come by the clock, and are no steps: replicas that make the same range of a response make the same bytes.
"""

from __future__ import annotations

import json

from trickleweb.bodies.events import EventGap, ServerSentEvent, StreamState
from trickleweb.bodies.steps import Step
from trickleweb.errors import StateRefused
from trickleweb.events.feed import Encoded, Feed, Listener
from trickleweb.plain import Plain

GAP_EVENT = "gap"


class EventReader:
    """The steps of one stream; `ended` after the last one. Raises `StateRefused` for a cursor of another kind."""

    comment = b": \n\n"

    def __init__(self, feed: Feed, cursor: Plain, *, heartbeat: float, retry_ms: int) -> None:
        try:
            known, state = cursor
            self._known, self._state = str(known), StreamState(state)
        except (TypeError, ValueError):
            raise StateRefused("a cursor of no event stream") from None
        self._feed = feed
        self.subject = feed.subject
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

    def silence(self) -> list[Step]:
        """Return the comment as a step, where no replica serves the stream."""
        return [(self.comment, [self._known, StreamState.READING])]

    def listen(self, listener: Listener) -> None:
        """Call `listener` at each change of the feed, until `leave`."""
        self._feed.listen(listener)

    def leave(self, listener: Listener) -> None:
        """Do not call `listener` any more."""
        self._feed.leave(listener)

    def _due(self) -> list[Step]:
        state, self._state = self._state, StreamState.READING
        opens = state is StreamState.OPENING
        return [(b"retry: %d\n\n" % self._retry_ms, [self._known, StreamState.READING])] if opens else []

    def _taken(self, events: list[Encoded], ended: bool) -> list[Step]:
        if events:
            self._known = events[-1].id
        self.ended = ended
        return [(each.data, [each.id, StreamState.READING]) for each in events]
