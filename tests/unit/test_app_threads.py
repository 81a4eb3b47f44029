"""Plain handlers run on a few threads, with their request's context; what is too much is refused at once."""

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from trickleweb import App, HTTPError, Request, Response
from trickleweb.app import PoolLimits
from trickleweb.app.pool import WorkerPool
from trickleweb.containment import BrokenOff
from trickleweb.handlers import Handler
from trickleweb.testing import AsyncClient, Client

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


def naming(inner: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        token = WHO.set(request.query["who"])
        try:
            return await inner(request)
        finally:
            WHO.reset(token)

    return handle


def test_plain_handlers_run_on_a_thread_and_others_on_the_loop() -> None:
    app = App(middleware=[naming])
    app.get("/plain")(lambda request: f"{WHO.get()} {threading.current_thread().name.split('_')[0]}")

    @app.get("/async")
    async def on_the_loop(request: Request) -> str:
        return f"{WHO.get()} {threading.current_thread() is threading.main_thread()}"

    client = Client(app)
    assert client.get("/plain?who=anna").text == "anna handlers"
    assert client.get("/async?who=bert").text == "bert True"


def test_objects_and_methods_are_handlers_too() -> None:
    class Greeter:
        async def __call__(self, request: Request) -> str:
            return "called"

        async def method(self, request: Request, name: str) -> str:
            return name

    app = App()
    app.get("/")(Greeter())
    app.get("/{name}")(Greeter().method)
    assert Client(app).get("/").text == "called"
    assert Client(app).get("/x").text == "x"


def test_a_plain_handler_that_returns_an_awaitable_has_it_awaited() -> None:
    async def later() -> str:
        return "later"

    app = App()
    app.get("/")(lambda request: later())
    assert Client(app).get("/").text == "later"


def test_too_many_at_once_are_refused_and_nothing_is_lost() -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)
    app = App(pool=PoolLimits(threads=2, waiting=1))

    @app.get("/slow")
    def slow(request: Request) -> str:
        begun.release()
        gate.wait()
        return "done"

    @app.get("/async")
    async def free(request: Request) -> str:
        return "free"

    async def crowd() -> None:
        client = AsyncClient(app)
        working = [asyncio.create_task(client.get("/slow")) for _ in range(3)]
        for _ in range(2):
            await asyncio.to_thread(begun.acquire)
        refused = await client.get("/slow")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert (await client.get("/async")).text == "free"
        gate.set()
        assert [(await each).text for each in working] == ["done"] * 3
        assert (await client.get("/slow")).text == "done"

    asyncio.run(crowd())


def test_a_request_that_nobody_waits_for_holds_its_place_until_it_ends() -> None:
    gate, ended = threading.Event(), threading.Event()
    pool = WorkerPool(PoolLimits(threads=1, waiting=0))

    def wait() -> None:
        gate.wait()

    async def story() -> None:
        task = asyncio.create_task(pool.call(wait))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(HTTPError, match="busy"):
            await pool.call(wait)
        gate.set()
        pool.close()
        while not ended.is_set():  # the place is free as soon as the thread is done with it
            try:
                await pool.call(ended.set)
            except HTTPError:
                await asyncio.sleep(0)

    asyncio.run(story())
    pool.close()


@pytest.mark.parametrize("error", [StopIteration("x"), KeyError("x")])
def test_what_a_plain_handler_raises_comes_back(error: Exception) -> None:
    def fail(request: Request) -> Any:
        raise error

    app = App()
    app.get("/")(fail)
    with pytest.raises(BrokenOff if isinstance(error, StopIteration) else KeyError):
        Client(app).get("/")
