"""Event streams of an App: their bytes, their headers, Last-Event-ID, and their sources."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.loop import on_loop, until
from trickleweb import App, Request, Response
from trickleweb.app.steps import UnknownSteps
from trickleweb.bodies.events import StreamState
from trickleweb.errors import StateRefused
from trickleweb.events import (
    BadEvent,
    EventPage,
    EventSource,
    ListEvents,
    ServerSentEvent,
)
from trickleweb.events import feed as feeds
from trickleweb.events.feed import Feed
from trickleweb.plain import Plain
from trickleweb.testing import Client
from trickleweb.topics import TopicsUnavailable


def app_of(source: EventSource, **options: Any) -> App:
    """Return an application that serves one source."""
    app = App()
    stream = app.events("events", source)

    @app.get("/")
    async def watch(request: Request) -> Response:
        return Response.events(stream(), request, **options)

    return app


# Events


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (ServerSentEvent("a"), b"data: a\n\n"),
        (ServerSentEvent("a", "tick", "7"), b"id: 7\nevent: tick\ndata: a\n\n"),
        (ServerSentEvent("a\nb\r\nc\rd\n"), b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (ServerSentEvent(""), b"data: \n\n"),
        (ServerSentEvent("ä\udc80", id="ä"), "id: ä\ndata: ä?\n\n".encode()),
        (ServerSentEvent("id: 9\n\nevent: forged"), b"data: id: 9\ndata: \ndata: event: forged\n\n"),
    ],
)
def test_an_event_is_sent_as_the_standard_says(event: ServerSentEvent, sent: bytes) -> None:
    assert event.encode() == sent


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\0"])
def test_fields_of_one_line_cannot_break_the_stream(field: str, text: str) -> None:
    with pytest.raises(BadEvent):
        ServerSentEvent("", **{field: text})
    with pytest.raises(BadEvent):
        ServerSentEvent("", id="x" * 65)


# Responses


def test_a_stream_has_the_headers_that_proxies_want() -> None:
    answer = Client(app_of(ListEvents(["a", ServerSentEvent("b", "last")]))).get("/")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text == "retry: 1000\n\nid: 1\ndata: a\n\nid: 2\nevent: last\ndata: b\n\n"


@pytest.mark.parametrize(
    ("last", "rest"),
    [
        ("1", "id: 2\ndata: b\n\nid: 3\ndata: c\n\n"),
        ("3", ""),
        ("", "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n"),
    ],
)
def test_a_browser_that_connects_again_gets_the_rest(last: str, rest: str) -> None:
    client = Client(app_of(ListEvents(["a", "b", "c"]), retry_ms=7))
    assert client.get("/", headers={"Last-Event-ID": last}).text == f"retry: 7\n\n{rest}"


@pytest.mark.parametrize("last", ["99", "-1", "x", "1" * 400, "ä", '"\\' * 100, "9" * 18])
def test_an_id_that_never_was_one_is_a_gap_that_the_client_sees(last: str) -> None:
    text = Client(app_of(ListEvents(["a"]))).get("/", headers={"Last-Event-ID": last}).text
    _, gap, event, end = text.split("\n\n")
    assert gap.startswith("event: gap\ndata: {")
    assert (event, end) == ("id: 1\ndata: a", "")


def test_a_stream_begins_where_the_handler_says() -> None:
    client = Client(app_of(ListEvents(["a", "b"]), after="1"))
    assert client.get("/").text.endswith("\n\nid: 2\ndata: b\n\n")
    assert client.get("/", headers={"Last-Event-ID": "2"}).text == "retry: 1000\n\n"


def test_a_source_of_another_application_is_refused() -> None:
    stream = App().events("events", ListEvents(["a"]))
    app = App()

    @app.get("/")
    async def watch(request: Request) -> Response:
        return Response.events(stream())

    with pytest.raises(UnknownSteps):
        Client(app).get("/")


@pytest.mark.parametrize("cursor", [None, 7, ["1"], ["1", 9], ["1", "x"], ["1", 0, 0]])
def test_a_cursor_of_something_else_is_refused(cursor: Plain) -> None:
    body = App().events("events", ListEvents(["a"]))().body("", heartbeat=1, retry_ms=1)
    assert body.steps.reader is not None

    async def opened() -> None:
        assert body.steps.reader is not None
        with pytest.raises(StateRefused):
            body.steps.reader(cursor, body.args)
        with pytest.raises(StateRefused):
            body.steps.reader(["", StreamState.READING], {"heartbeat": "soon"})

    on_loop(opened())


class Waiting:
    """A source of one event, then nothing, until `more` is set."""

    def __init__(self) -> None:
        self.more = asyncio.Event()
        self.waits = self.reads = 0

    async def read(self, after: str, _most: int, /, **_: Plain) -> EventPage:
        self.reads += 1
        if not after:
            return EventPage((ServerSentEvent("a", id="1"),))
        return EventPage((ServerSentEvent("b", id="2"),), ended=True) if self.more.is_set() else EventPage()

    async def wait(self, _after: str, /, **_: Plain) -> None:
        self.waits += 1
        await self.more.wait()


def test_silence_is_broken_by_comments_that_do_not_move_the_cursor() -> None:
    async def watched() -> list[tuple[Any, Any]]:
        source = Waiting()
        body = App().events("events", source)().body("", heartbeat=0.01, retry_ms=1)
        found: list[Any] = []
        run = body.run()
        assert not isinstance(run, Iterable)
        async for step in run:
            found.append(step)
            if len(found) == 4:
                source.more.set()
        return found

    found = on_loop(watched())
    assert found[:2] == [(b"retry: 1\n\n", ["", 0]), (b"id: 1\ndata: a\n\n", ["1", 0])]
    assert found[2:4] == [(b": \n\n", ["1", StreamState.READING])] * 2
    assert found[-1] == (b"id: 2\ndata: b\n\n", ["2", 0])


# Feeds


def test_many_streams_wait_for_their_source_once_and_share_its_bytes() -> None:
    async def shared() -> None:
        source = Waiting()
        feed, calls = Feed(source, {}), [0] * 100
        listeners = [lambda at=at: calls.__setitem__(at, calls[at] + 1) for at in range(100)]
        assert feed.after("1") is None
        assert await feed.read("1") == ([], False)
        for each in listeners:
            feed.listen(each)
        await until(lambda: source.waits > 0)
        source.more.set()
        await until(lambda: calls == [1] * 100)
        assert (source.waits, source.reads) == (1, 2)
        found = [feed.after("1") for _ in range(2)]
        assert found[0] == ([("2", b"id: 2\ndata: b\n\n")], True)
        assert len({id(events[0]) for events, _ in filter(None, found)}) == 1
        assert feed.after("2") == ([], True)
        assert feed.after("0") is None

    on_loop(shared())


def test_a_feed_without_listeners_has_no_task() -> None:
    async def left() -> None:
        source, listener = Waiting(), lambda: None
        feed = Feed(source, {})
        await feed.read("1")
        feed.listen(listener)
        await until(lambda: source.waits == 1)
        feed.leave(listener)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    on_loop(left())


class Endless:
    """A source of all numbers."""

    async def read(self, after: str, most: int, /, **_: Plain) -> EventPage:
        at = int(after)
        return EventPage(tuple(ServerSentEvent("x" * 100, id=str(each)) for each in range(at + 1, at + 1 + most)))

    async def wait(self, _after: str, /, **_: Plain) -> None:
        await asyncio.sleep(0)


def test_a_feed_keeps_the_latest_events_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_WINDOW_EVENTS", 300)

    async def followed() -> None:
        feed, listener = Feed(Endless(), {}), lambda: None
        feed._ids = ["0"]
        feed.listen(listener)
        await until(lambda: feed.after("2000") is not None)
        feed.leave(listener)
        assert feed.after("1000") is None
        assert len(feed._window) == 300
        assert len(feed._ids) == 301

    on_loop(followed())


class Failing(Waiting):
    """A source whose waiting fails."""

    async def wait(self, _after: str, /, **_: Plain) -> None:
        self.waits += 1
        raise TopicsUnavailable("away")


def test_a_source_that_fails_for_long_is_left_to_its_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_RETRY_S", 0)

    async def failed() -> None:
        source, calls = Failing(), list[int]()
        feed = Feed(source, {})
        await feed.read("1")
        feed.listen(lambda: calls.append(0))
        await until(lambda: feed.after("1") is None)
        assert source.waits == 6

    on_loop(failed())


def test_mounted_applications_share_the_topics_of_the_outer_one() -> None:
    outer, inner = App(), App()
    outer.mount("/in", inner)
    assert not outer.steps.steps
    assert inner.topics is outer.topics
