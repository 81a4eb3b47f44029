"""Event streams: sources of server-sent events, each read once in a process for all of its streams."""

from trickleweb.bodies.events import BadEvent, EventGap, EventPage, EventSource, EventStream, ServerSentEvent
from trickleweb.events.lists import ListEvents
from trickleweb.events.logs import LogEvents
from trickleweb.events.streams import EventStreams
from trickleweb.events.tables import SqliteEvents, TableEvents
from trickleweb.events.topics import TopicEvents, event_id

__all__ = [
    "BadEvent", "EventGap", "EventPage", "EventSource", "EventStream", "EventStreams", "ListEvents", "LogEvents",
    "ServerSentEvent", "SqliteEvents", "TableEvents", "TopicEvents",
    "event_id",
]  # fmt: skip
