"""Events of a list that is the same on all replicas; their ids count from 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trickleweb.bodies.events import EventGap, EventPage, ServerSentEvent
from trickleweb.plain import Plain


class ListEvents:
    """The items of a list, in order; then the stream ends. Text becomes the data of an event."""

    def __init__(self, items: Sequence[ServerSentEvent | str]) -> None:
        self._events = [
            replace(item, id=str(at)) if isinstance(item, ServerSentEvent) else ServerSentEvent(item, id=str(at))
            for at, item in enumerate(items, 1)
        ]

    async def read(self, after: str, most: int, /, **_: Plain) -> EventPage:
        at = number_of(after)
        if at > len(self._events):
            raise EventGap("")
        stop = min(at + most, len(self._events))
        return EventPage(tuple(self._events[at:stop]), ended=stop == len(self._events))

    async def wait(self, _after: str, /, **_: Plain) -> None:
        """Return at once: a list has no further events."""


def number_of(text: str) -> int:
    """Return the number in an id, 0 for ""; raise `EventGap` from the beginning for any other text."""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise EventGap("")
    return int(text)
