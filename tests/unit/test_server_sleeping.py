"""Event streams that came from another replica, and have nothing new: only their requests wait."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.origins import body, event, get, output
from tests.support.programs import Fleet, asked, begun, settled, with_fleet
from trickles.limits import SECOND
from trickles.service import Continuation, Deferred, Heartbeat, Refusal, Reply
from trickleweb import App, Request, Response
from trickleweb.events import EventPage, ServerSentEvent
from trickleweb.http1 import decode_chunked
from trickleweb.plain import Plain
from trickleweb.server import HttpService

CONNECTION = b"12345678"
HEARTBEAT = 10.0


class News:
    """A source of the events that were added so far."""

    def __init__(self, *events: str) -> None:
        self.events = list(events)
        self.added = asyncio.Event()

    def add(self, text: str) -> None:
        self.events.append(text)
        self.added.set()

    async def read(self, after: str, most: int, /, **_: Plain) -> EventPage:
        self.added.clear()
        at = int(after or 0)
        found = self.events[at : at + most]
        return EventPage(tuple(ServerSentEvent(text, id=str(at + n + 1)) for n, text in enumerate(found)))

    async def wait(self, _after: str, /, **_: Plain) -> None:
        await self.added.wait()


def app_of(source: News) -> App:
    app = App()
    stream = app.events("news", source)

    @app.get("/")
    async def watch(request: Request) -> Response:
        return Response.events(stream(), request, heartbeat=HEARTBEAT)

    return app


def asleep(origin: HttpService) -> int:
    """How many requests sleep there."""
    assert origin._exchanges is not None
    return len(origin._exchanges._streams._sleepers.all())


def streams(origin: HttpService) -> int:
    """How many streams were made there."""
    assert origin._exchanges is not None
    return len(origin._exchanges._streams._cache)


def following(origin: HttpService, known: Continuation) -> "asyncio.Future[Reply]":
    """The reply to a request for what follows, which waits."""
    assert known.stop is not None
    return asyncio.ensure_future(asked(origin, event(b"", known, (known.stop, known.stop + 1000))))


def text(reply: Reply) -> str:
    """The events and comments of a reply."""
    return b"".join(decode_chunked(output(reply)).pieces).decode()


async def moved(fleet: Fleet, source: News) -> tuple[HttpService, "asyncio.Future[Reply]"]:
    """A second replica, which has a request of a stream that began at the first, and the reply to it."""
    app = app_of(source)
    fleet.make = lambda: app  # so that the source is followed when the stream comes
    first, second = fleet.two()
    response, known = await begun(first, get())
    assert body(response) == b"d\r\nretry: 1000\n\n\r\n"
    await settled()
    reply = following(second, known)
    await settled()
    assert (asleep(second), streams(second), reply.done()) == (1, 0, False)
    return second, reply


def test_a_request_sleeps_until_there_is_an_event() -> None:
    async def test(fleet: Fleet) -> None:
        source = News()
        second, reply = await moved(fleet, source)
        source.add("new")
        assert text(await reply) == "id: 1\ndata: new\n\n"
        assert (asleep(second), streams(second)) == (0, 1)
        known = (await reply).continuation
        assert known is not None
        again = following(second, known)
        await settled()
        assert asleep(second) == 0, "its stream is here"
        source.add("newer")
        assert text(await again) == "id: 2\ndata: newer\n\n"

    with_fleet(App, test)


def test_whoever_waits_for_news_gets_a_heartbeat_for_its_client() -> None:
    async def test(fleet: Fleet) -> None:
        app = app_of(News("old"))
        fleet.make = lambda: app
        first, second = fleet.two()
        _, known = await begun(first, get())
        assert known.stop is not None
        beat = Heartbeat(b"4\r\n: \n\n\r\n", int(HEARTBEAT * SECOND), b"news{}")
        for origin in (first, second):
            waiting = origin.handle(event(b"", known, (known.stop, known.stop + 1000)))
            assert isinstance(waiting, Deferred)
            assert waiting.heartbeat == beat
            origin.left(CONNECTION)

    with_fleet(App, test)


def test_whoever_lacks_a_part_of_an_event_gets_no_heartbeat_in_it() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.make = lambda: app_of(News())
        first, second = fleet.two()
        _, known = await begun(first, get())
        assert known.stop is not None
        second_has = [second.handle(event(b"", known, (known.stop - back, known.stop + 1000))) for back in (3, 0)]
        assert [isinstance(each, Deferred) and each.heartbeat is not None for each in second_has] == [False, True]
        second.left(CONNECTION)

    with_fleet(App, test)


def test_another_request_for_the_stream_wakes_the_first_and_both_are_answered() -> None:
    async def test(fleet: Fleet) -> None:
        source = News()
        second, reply = await moved(fleet, source)
        _, known = await begun(fleet.replicas[0], get())
        other = following(second, known)
        await settled()
        assert (asleep(second), streams(second)) == (0, 1)
        source.add("new")
        assert text(await reply) == text(await other) == "id: 1\ndata: new\n\n"

    with_fleet(App, test)


def leave(second: HttpService) -> None:
    second.left(CONNECTION)


@pytest.mark.parametrize("end", [leave, HttpService.drop_caches], ids=["its client leaves", "caches are dropped"])
def test_a_sleeper_is_let_go(end: Callable[[HttpService], None]) -> None:
    async def test(fleet: Fleet) -> None:
        second, reply = await moved(fleet, News())
        end(second)
        assert (await reply).refusal is Refusal.BUSY
        assert (asleep(second), second.busy) == (0, False)

    with_fleet(App, test)


def test_no_request_sleeps_where_the_source_is_not_followed() -> None:
    async def test(fleet: Fleet) -> None:
        source = News()
        fleet.make = lambda: app_of(source)  # each replica has a table of its own
        first, second = fleet.two()
        _, known = await begun(first, get())
        reply = following(second, known)
        await settled()
        assert (asleep(second), streams(second), reply.done()) == (0, 1, False)
        source.add("new")
        assert text(await reply) == "id: 1\ndata: new\n\n"

    with_fleet(App, test)


def test_a_stream_that_differs_here_is_found_out_when_it_is_made() -> None:
    async def test(fleet: Fleet) -> None:
        here, there = News(), News()
        apps = [app_of(here), app_of(there)]
        fleet.make = lambda: apps.pop(0)
        first, second = fleet.two()
        known = [(await begun(each, get()))[1] for each in (first, second)]
        replies = [following(*each) for each in zip((first, second), known, strict=True)]
        await settled()
        here.add("old")
        there.add("odd")
        (range_here, _) = [(await each).continuation for each in replies]
        assert range_here is not None
        reply = following(second, range_here._replace(consumed=range_here.consumed + 1))  # of no stream there
        await settled()
        assert asleep(second) == 1
        there.add("new")
        assert (await reply).refusal is Refusal.NOT_HERE

    with_fleet(App, test)
