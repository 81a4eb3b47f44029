"""Before the first request and after the last: in order, undone in reverse, nothing left where the start failed."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from trickleweb import App, Request
from trickleweb.app import PoolLimits
from trickleweb.testing import AsyncClient, Client


def telling(story: list[str], fails: str = "") -> App:
    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        app.state.word = "open"
        story.append("enter")
        yield
        story.append("exit")

    app, inner = App(lifespan=lifespan), App()
    app.mount("/inner", inner)

    @app.on_startup
    def start() -> None:
        story.append("start")

    @app.on_startup
    async def start_more() -> None:
        story.append("start more")
        if fails == "start":
            raise OSError("no database")

    @app.on_shutdown
    async def stop() -> None:
        story.append("stop")

    @inner.on_startup
    def start_inner() -> None:
        story.append("start inner")
        if fails == "inner":
            raise OSError("no database")

    @inner.on_shutdown
    def stop_inner() -> None:
        story.append("stop inner")

    @app.get("/")
    async def home(request: Request) -> str:
        return str(app.state.word)

    return app


def test_the_lifespan_is_around_all_requests() -> None:
    story: list[str] = []
    app = telling(story)
    for _ in range(2):  # an application may be started again
        with Client(app) as client:
            assert story == ["enter", "start", "start more", "start inner"]
            assert client.get("/").text == "open"
        assert story[4:] == ["stop inner", "stop", "exit"]
        story.clear()


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        ("start", ["enter", "start", "start more", "stop"]),
        ("inner", ["enter", "start", "start more", "start inner", "stop inner", "stop"]),
    ],
)
def test_a_start_that_fails_leaves_nothing_started(fails: str, expected: list[str]) -> None:
    story: list[str] = []
    with pytest.raises(OSError, match="no database"), Client(telling(story, fails)):
        story.append("never")
    assert story == expected


def test_an_application_is_started_once() -> None:
    app = App()
    with Client(app), pytest.raises(RuntimeError, match="started already"), Client(app):
        pass


def test_without_a_start_nothing_is_called_and_requests_are_answered() -> None:
    story: list[str] = []
    app = telling(story)
    app.state.word = "set"
    assert Client(app).get("/").text == "set"
    assert story == []


async def _visit(app: App) -> str:
    async with AsyncClient(app) as client:
        return (await client.get("/")).text


def test_the_async_client_starts_it_too() -> None:
    story: list[str] = []
    assert asyncio.run(_visit(telling(story))) == "open"
    assert story[-1] == "exit"


def test_an_application_ends_however_busy_its_handlers_are() -> None:
    story: list[str] = []
    app = App(pool=PoolLimits(threads=1, waiting=0))
    gate, begun = threading.Event(), threading.Event()
    app.on_shutdown(lambda: story.append("ended"))

    @app.get("/")
    def wait(request: Request) -> str:
        begun.set()
        gate.wait()
        return ""

    async def busy() -> None:
        async with AsyncClient(app) as client:
            task = asyncio.create_task(client.get("/"))
            await asyncio.to_thread(begun.wait)
        assert story == ["ended"]
        gate.set()
        await task

    asyncio.run(busy())
