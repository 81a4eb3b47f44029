"""Server-sent events (HTML Standard, 9.2) as values, and the interface of their sources.

A source numbers its events with ids, and gives those after any id on any replica: so the id of the last event that a
client has is the cursor of its stream, and what a browser sends as Last-Event-ID when it connects again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

from trickleweb.bodies.steps import Stepped, Steps
from trickleweb.errors import WebError
from trickleweb.plain import Plain

MAX_ID_CHARS = 64  # an id is part of every sealed cursor


class BadEvent(WebError, ValueError):
    """An event whose fields would break the stream: line ends in its type or id, or an id that is too long."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: `data` of any lines, its type (`message` if ""), and its id."""

    data: str
    event: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        if any(char in text for text in (self.event, self.id) for char in "\r\n\0") or len(self.id) > MAX_ID_CHARS:
            raise BadEvent(
                f"the type and the id of an event are one line each, and an id has {MAX_ID_CHARS} characters"
            )

    def encode(self) -> bytes:
        """Return the event as sent."""
        lines = [f"id: {self.id}"] if self.id else []
        if self.event:
            lines.append(f"event: {self.event}")
        lines += [f"data: {line}" for line in self.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        return "\n".join((*lines, "", "")).encode("utf-8", "replace")


class EventPage(NamedTuple):
    """Events in order, each with an id; after those of a page that `ended` there will never be others."""

    events: tuple[ServerSentEvent, ...] = ()
    ended: bool = False


class EventGap(WebError):
    """The events after a reader's id are not known any more: it goes on after the id `resume`."""

    def __init__(self, resume: str) -> None:
        super().__init__(f"events are missing: the next ones are those after {resume!r}")
        self.resume = resume


class StreamState(IntEnum):
    """The step that follows from the cursor [id, state] of a stream."""

    READING = 0
    OPENING = 1


class EventSource(Protocol):
    """A source of events that any replica reads from any id on; `args` are those of the stream, by name."""

    async def read(self, after: str, most: int, /, **args: Plain) -> EventPage:
        """Return events after an id ("" for the first ones), at most `most`; none if there are none yet.

        Raise `EventGap` if some after it are lost, or if it never was an id here: clients send any.
        """

    async def wait(self, after: str, /, **args: Plain) -> None:
        """Return when there may be events after that id."""


@dataclass(frozen=True, slots=True)
class EventStream:
    """The events of a registered source, for `Response.events`."""

    steps: Steps
    args: dict[str, Plain] = field(default_factory=dict)

    def body(self, after: str, *, heartbeat: float, retry_ms: int) -> Stepped:
        """Return the body of the events after that id."""
        cursor = [after, int(StreamState.OPENING)]
        return self.steps.at(cursor, **{**self.args, "heartbeat": heartbeat, "retry_ms": retry_ms})
