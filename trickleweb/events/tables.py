"""Events of a table, by a cursor that grows: the id of an event is its row's key."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from dataclasses import replace
from inspect import isawaitable
from pathlib import Path

from trickleweb.bodies.events import EventPage, ServerSentEvent
from trickleweb.events.lists import number_of
from trickleweb.plain import Plain

Row = tuple[object, ServerSentEvent | str]  # the key, and the event or its data
Read = Callable[[str, int], Iterable[Row] | Awaitable[Iterable[Row]]]


class TableEvents:
    """Rows that `read(after, most)` returns in the order of their keys, `after` "" for the first ones.

    `read` may be plain, and runs on a thread, or async. It is called each `every` seconds, once for all streams, and
    gets any text as `after`: clients send it.
    """

    def __init__(self, read: Read, *, every: float = 0.5) -> None:
        self._rows = read
        self._every = every

    async def read(self, after: str, most: int, /, **_: Plain) -> EventPage:
        found = await asyncio.to_thread(self._rows, after, most)
        rows = await found if isawaitable(found) else found
        return EventPage(tuple(_event(str(key), item) for key, item in rows))

    async def wait(self, _after: str, /, **_: Plain) -> None:
        """Wait a while: a table does not call."""
        await asyncio.sleep(self._every)


class SqliteEvents:
    """Rows of a SQLite file: `query` selects an integer key and the data, with the parameters :after and :most.

    "SELECT id, body FROM messages WHERE id > :after ORDER BY id LIMIT :most"
    """

    def __init__(self, path: str | os.PathLike[str], query: str, *, every: float = 0.5) -> None:
        self._uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        self._query = query
        self._table = TableEvents(self._select, every=every)

    async def read(self, after: str, most: int, /, **_: Plain) -> EventPage:
        number_of(after)
        return await self._table.read(after, most)

    async def wait(self, after: str, /, **_: Plain) -> None:
        await self._table.wait(after)

    def _select(self, after: str, most: int) -> list[Row]:
        with closing(sqlite3.connect(self._uri, uri=True)) as database:
            rows = database.execute(self._query, {"after": number_of(after), "most": most}).fetchall()
        return [(key, str(data)) for key, data in rows]


def _event(key: str, item: ServerSentEvent | str) -> ServerSentEvent:
    return replace(item, id=key) if isinstance(item, ServerSentEvent) else ServerSentEvent(item, id=key)
