"""Event streams of an application: registered sources, and the bodies that read them from a cursor on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from weakref import WeakValueDictionary

from trickleweb.bodies.events import EventSource, EventStream
from trickleweb.bodies.steps import Step, Steps
from trickleweb.errors import StateRefused
from trickleweb.events.feed import Feed
from trickleweb.events.reading import EventReader
from trickleweb.plain import Plain, dump_plain


class _Shared:
    """A source with its feeds: one for all streams with the same arguments, while there are any."""

    def __init__(self, name: str, source: EventSource) -> None:
        self._name = name.encode()
        self._source = source
        self._feeds: WeakValueDictionary[bytes, Feed] = WeakValueDictionary()

    def reader(self, cursor: Plain, args: dict[str, Plain]) -> EventReader:
        """Return the reader of a body's cursor and arguments."""
        args = dict(args)
        try:
            heartbeat, retry_ms = float(args.pop("heartbeat")), int(args.pop("retry_ms"))
        except (KeyError, TypeError, ValueError):
            raise StateRefused("arguments of no event stream") from None
        name = dump_plain(args)
        feed = self._feeds.get(name)
        if feed is None or feed.loop is not asyncio.get_running_loop():
            feed = self._feeds[name] = Feed(self._source, args, self._name + name)
        return EventReader(feed, cursor, heartbeat=heartbeat, retry_ms=retry_ms)

    async def run(self, cursor: Plain, **args: Plain) -> AsyncIterator[Step]:
        """Yield the steps of a stream, where no replica serves it."""
        reader, news = self.reader(cursor, args), asyncio.Event()
        reader.listen(news.set)
        try:
            while not reader.ended:
                found = reader.ready()
                if found is None:
                    found = await reader.fetch()
                if not found and not reader.ended:
                    try:
                        async with asyncio.timeout(reader.heartbeat):
                            await news.wait()
                    except TimeoutError:
                        found = reader.silence()
                    news.clear()
                for step in found:
                    yield step
        finally:
            reader.leave(news.set)


class EventStreams:
    """Registers sources; the functions of `App.events`.

    news = app.events("news", ListEvents([...]))
    """

    def __init__(self, add: Callable[[Steps], Steps]) -> None:
        self._add = add

    def __call__(self, name: str, source: EventSource, *, version: int = 1) -> Callable[..., EventStream]:
        """Register a source under a permanent name; the result takes its arguments, and returns a stream of it.

        Raise `version` when the same id leads to other events.
        """
        shared = _Shared(name, source)
        steps = self._add(Steps(name, shared.run, version, reader=shared.reader))
        return lambda **args: EventStream(steps, args)
