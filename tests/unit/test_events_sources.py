"""Sources of events: lists, log files, tables, topics, read from any id on, whatever a client sends as one."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.loop import on_loop
from trickleweb import App, Request, Response
from trickleweb.events import (
    EventGap,
    EventPage,
    EventSource,
    ListEvents,
    LogEvents,
    ServerSentEvent,
    SqliteEvents,
    TableEvents,
    TopicEvents,
    event_id,
)
from trickleweb.plain import Plain
from trickleweb.stores import MemoryTopics
from trickleweb.testing import Client
from trickleweb.topics import TopicLimits


def read(source: EventSource, after: str = "", most: int = 100, **args: Plain) -> list[tuple[str, str]]:
    """Return ids and data of a page."""
    return [(each.id, each.data) for each in on_loop(source.read(after, most, **args)).events]


# Lists


def test_a_list_is_read_from_any_of_its_ids() -> None:
    source = ListEvents(["a", "b", "c"])
    assert read(source) == [("1", "a"), ("2", "b"), ("3", "c")]
    assert read(source, "1", 1) == [("2", "b")]
    assert on_loop(source.read("2", 9)).ended
    assert not on_loop(source.read("1", 1)).ended
    assert on_loop(ListEvents([]).read("", 9)) == EventPage((), ended=True)


# Log files


def test_lines_of_a_log_are_events_once_they_are_complete(tmp_path: Path) -> None:
    log = tmp_path / "log"
    source = LogEvents(log)
    assert read(source) == []
    log.write_bytes(b"one\ntwo\r\nthr")
    found = read(source)
    assert [data for _, data in found] == ["one", "two"]
    assert read(source, found[-1][0]) == []
    with log.open("ab") as file:
        file.write(b"ee\n\xff\n")
    assert [data for _, data in read(source, found[-1][0])] == ["three", "\ufffd"]
    assert [data for _, data in read(source, found[0][0], 1)] == ["two"]


def test_a_rotated_log_is_read_to_its_end_and_then_the_next_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    source = LogEvents(log)
    first = read(source)[0][0]
    log.rename(tmp_path / "log.1")
    assert [data for _, data in read(source, first)] == ["two"]
    log.write_text("three\n")
    ((last, data),) = read(source, first)
    assert data == "two"
    assert [data for _, data in read(source, last)] == ["three"]


@pytest.mark.parametrize("change", ["removed", "truncated", "replaced"])
def test_a_log_that_is_gone_is_a_gap(tmp_path: Path, change: str) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    source = LogEvents(log)
    last = read(source)[-1][0]
    if change == "removed":
        log.unlink()
    elif change == "truncated":
        log.write_text("1\n")
    else:
        (tmp_path / "new").write_text("another one\n")
        (tmp_path / "new").rename(log)
    with pytest.raises(EventGap):
        read(source, last)


@pytest.mark.parametrize("after", ["x", "x:y", ":", "1-1:1", "1-1:-1", "1-1:" + "9" * 60])
def test_a_log_never_trusts_an_id(tmp_path: Path, after: str) -> None:
    (tmp_path / "log").write_text("one\n")
    with pytest.raises(EventGap):
        read(LogEvents(tmp_path / "log"), after)


def test_an_endless_line_is_cut(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 100_000)
    ((_, data),) = read(LogEvents(tmp_path / "log"))
    assert data == "x" * 65_536


# Tables


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT)")
        database.executemany("INSERT INTO messages VALUES (?, ?)", [(1, "one"), (5, "five"), (7, "seven")])
        database.commit()
    return path


QUERY = "SELECT id, body FROM messages WHERE id > :after ORDER BY id LIMIT :most"


def test_rows_of_sqlite_are_events(table: Path) -> None:
    source = SqliteEvents(table, QUERY)
    assert read(source) == [("1", "one"), ("5", "five"), ("7", "seven")]
    assert read(source, "1", 1) == [("5", "five")]
    assert read(source, "7") == []
    for hostile in ("x", "1; DROP TABLE messages", "9" * 30, "-1", "\uff11"):
        with pytest.raises(EventGap):
            read(source, hostile)


def test_a_table_that_is_not_there_is_an_error_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        read(SqliteEvents(tmp_path / "none", QUERY))
    assert not list(tmp_path.iterdir())


def plain(after: str, most: int) -> list[tuple[object, ServerSentEvent | str]]:
    start = int(after or 0)
    return [(at, ServerSentEvent(str(at), "row")) for at in range(start + 1, min(start + most, 5) + 1)]


async def asynchronous(after: str, most: int) -> list[tuple[object, ServerSentEvent | str]]:
    return plain(after, most)


@pytest.mark.parametrize("rows", [plain, asynchronous])
def test_rows_of_any_driver_are_events(rows: Callable[[str, int], Any]) -> None:
    source = TableEvents(rows)
    assert read(source, "3") == [("4", "4"), ("5", "5")]
    assert on_loop(source.read("", 1)).events[0].event == "row"


# Topics


def test_entries_of_a_topic_are_events() -> None:
    app = App()
    stream = app.events("topic", TopicEvents(app))

    @app.get("/{name}")
    async def watch(request: Request, name: str) -> Response:
        return Response.events(stream(topic=name, last="end"), request)

    async def published() -> None:
        for data in (b"a", b"b\nc", b"end", b"after the end"):
            await app.topics.publish("t", data)

    on_loop(published())
    incarnation = on_loop(app.topics.kept("t")).incarnation
    client = Client(app)
    rest = f"id: {incarnation}.2\ndata: b\ndata: c\n\nid: {incarnation}.3\ndata: end\n\n"
    assert client.get("/t").text == f"retry: 1000\n\nid: {incarnation}.1\ndata: a\n\n{rest}"
    assert client.get("/t", headers={"Last-Event-ID": f"{incarnation}.1"}).text == f"retry: 1000\n\n{rest}"
    for hostile in ("none.1", f"{incarnation}.99", f"{incarnation}.x", f"{incarnation}.-1", ".1", "1"):
        text = client.get("/t", headers={"Last-Event-ID": hostile}).text
        assert text.split("\n\n")[1].startswith("event: gap\n")
        assert text.endswith(rest)


def test_a_reader_that_came_too_late_sees_the_gap_and_what_is_kept() -> None:
    topics = MemoryTopics(limits=TopicLimits(entries=2))
    app = App(topics=topics)
    source = TopicEvents(app, lambda data: ServerSentEvent(data.decode(), "entry"))

    async def late() -> tuple[EventGap, EventPage]:
        for at in range(5):
            await topics.publish("t", b"%d" % at)
        with pytest.raises(EventGap) as gap:
            await source.read("", 9, topic="t")
        return gap.value, await source.read(gap.value.resume, 9, topic="t")

    gap, page = on_loop(late())
    kept = on_loop(topics.kept("t"))
    assert gap.resume == event_id(kept, 3)
    assert page.events == (
        ServerSentEvent("3", "entry", event_id(kept, 4)), ServerSentEvent("4", "entry", event_id(kept, 5)),
    )  # fmt: skip
    assert on_loop(source.read(event_id(kept, kept.last), 9, topic="t")).events == ()
