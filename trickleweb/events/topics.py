"""Events of topics: the id of an event is its topic's incarnation and the entry's number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from trickleweb.bodies.events import EventGap, EventPage, ServerSentEvent
from trickleweb.plain import Plain
from trickleweb.topics import TopicGap, TopicRange, Topics


class HasTopics(Protocol):
    """An owner of topics: an `App`."""

    @property
    def topics(self) -> Topics: ...


class TopicEvents:
    """The entries of the stream's argument `topic`, as events; `last` is the data of an entry that ends the stream.

    `render` makes an event of an entry's data, by default text. The event's id is set here.
    """

    def __init__(self, owner: HasTopics, render: Callable[[bytes], ServerSentEvent] | None = None) -> None:
        self._owner = owner
        self._render = render or _text

    async def read(
        self, after: str, most: int, /, *, topic: str = "", last: str | None = None, **_: Plain
    ) -> EventPage:
        incarnation, number = _position(after)
        try:
            entries, kept = await self._owner.topics.read(topic, number, most, incarnation)
        except TopicGap as gap:
            raise EventGap(event_id(gap.kept, gap.kept.first - 1)) from None
        found, ending = [], None if last is None else last.encode()
        for each in entries:
            found.append(replace(self._render(each.data), id=event_id(kept, each.number)))
            if each.data == ending:
                return EventPage(tuple(found), ended=True)
        return EventPage(tuple(found))

    async def wait(self, after: str, /, *, topic: str = "", **_: Plain) -> None:
        await self._owner.topics.wait({topic: _position(after)[1]})


def event_id(kept: TopicRange, number: int) -> str:
    """Return the id of an entry; with `kept.last` a stream after it begins with the next entry."""
    return f"{kept.incarnation}.{number}" if number else ""


def _position(text: str) -> tuple[str, int]:
    """Return the incarnation and number of an id; of text that is none, a position that no topic has."""
    if not text:
        return "", 0
    incarnation, _, number = text.rpartition(".")
    if not (incarnation and number.isascii() and number.isdecimal() and len(number) < 19):
        return "none", 0
    return incarnation, int(number)


def _text(data: bytes) -> ServerSentEvent:
    return ServerSentEvent(data.decode("utf-8", "replace"))
