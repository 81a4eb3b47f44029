"""An application with a response of each kind, deterministic, as every replica of it makes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from trickleweb import App, HTTPError, Request, Response
from trickleweb.bodies import Step, Streamed
from trickleweb.headers import Headers

LARGE = Random(1).randbytes(200_000)
LINES = 400


def line(number: int) -> bytes:
    """One line of the long bodies."""
    return b"%06d %s\n" % (number, Random(number).randbytes(300).hex().encode())


LONG = b"".join(map(line, range(LINES)))


def offered(folder: Path | None = None) -> App:
    """The application; `state.ran` lists what ran."""
    app = App()
    app.state.ran = list[str]()
    app.state.closed = list[str]()
    if folder is not None:
        app.mount("/files", folder)
    whole(app)
    breaking(app)
    streaming(app)
    stepping(app)
    unsafe(app)
    unsafe_streams(app)
    return app


def whole(app: App) -> None:
    """Responses that are whole at once."""

    @app.get("/")
    async def hello(request: Request) -> str:
        app.state.ran.append("hello")
        return "Hello, world\n"

    @app.get("/plain")
    def plain(request: Request) -> str:
        return "from a thread\n"

    @app.get("/large")
    async def large(request: Request) -> bytes:
        app.state.ran.append("large")
        return LARGE

    @app.get("/moment")
    async def moment(request: Request) -> bytes:
        drawn = request.entropy("test", 2000)
        return b"%d %s %s" % (request.now, drawn, (request.query.get("q") or "").encode())

    @app.get("/status/{status:int}")
    async def status(request: Request, status: int) -> Response:
        return Response.empty(status)

    @app.get("/fields")
    async def fields(request: Request) -> Response:
        size = int(request.query["n"])
        return Response.text("x", headers=(("X-Long", "x" * size),))


def breaking(app: App) -> None:
    """Programs that do not return."""

    @app.get("/broken")
    async def broken(request: Request) -> str:
        raise KeyError("oops")

    @app.get("/cancelled")
    async def cancelled(request: Request) -> str:
        raise asyncio.CancelledError

    @app.route("/exit", methods=["GET", "POST"])
    async def leave(request: Request) -> str:
        raise SystemExit(3)

    @app.route("/group", methods=["GET", "POST"])
    def group(request: Request) -> str:
        raise BaseExceptionGroup("some", [GeneratorExit()])


def streaming(app: App) -> None:
    """Responses that are made as they go."""
    lines = partial(noted_lines, app)

    @app.get("/stream")
    async def stream(request: Request) -> Response:
        return Response.stream(lines(), media_type="text/plain")

    @app.get("/sync")
    def sync(request: Request) -> Response:
        return Response.stream(map(line, range(LINES)))

    @app.get("/length")
    async def length(request: Request) -> Response:
        return Response(200, Headers(), Streamed(lines(), len(LONG)))

    @app.get("/long-fields")
    async def long_fields(request: Request) -> Response:
        return Response.stream(lines(), headers=(("X-Long", "x" * 2000),))

    @app.get("/silent")
    async def silent(request: Request) -> Response:
        return Response.stream(first_and_no_more(app))

    @app.get("/failing")
    async def failing(request: Request) -> Response:
        return Response.stream(some_and_an_error())


async def noted_lines(app: App) -> AsyncIterator[bytes]:
    app.state.ran.append("lines")
    try:
        for number in range(LINES):
            yield line(number)
    finally:
        app.state.closed.append("lines")


async def first_and_no_more(app: App) -> AsyncIterator[bytes]:
    yield b"first"
    try:
        await asyncio.Event().wait()
    finally:
        app.state.closed.append("silent")


async def some_and_an_error() -> AsyncIterator[bytes]:
    yield LONG[:100_000]
    raise ZeroDivisionError


def stepping(app: App) -> None:
    """Responses that go on from a cursor."""

    @app.steps("rows", version=2)
    async def rows(cursor: int, first: str = "") -> AsyncIterator[Step]:
        app.state.ran.append(f"rows {cursor}")
        for number in range(cursor, LINES):
            yield line(number), number + 1

    @app.steps("odd")
    def odd(cursor: int) -> Iterator[Step]:
        for number in range(cursor, 40):
            yield ("" if number % 3 else f"{number}\n" * number), number + 1

    @app.get("/rows")
    async def stepped(request: Request) -> Response:
        return Response.stepped(rows.at(0), media_type="text/plain")

    @app.get("/odd")
    async def oddly(request: Request) -> Response:
        return Response.stepped(odd.at(0))

    @app.get("/too-long-arguments")
    async def too_long(request: Request) -> Response:
        return Response.stepped(rows.at(0, first="x" * 1000))


def ran(app: App, request: Request) -> None:
    app.state.ran.append(f"{request.method} {request.path}")


def unsafe(app: App) -> None:
    """What must not happen twice."""

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        ran(app, request)
        return Response.bytes(request.body, headers=(("X-Drawn", request.entropy("echo", 8).hex()),))

    @app.post("/upload", stream=True, max_body_bytes=1 << 30)
    async def upload(request: Request) -> dict[str, Any]:
        ran(app, request)
        sizes = [len(piece) async for piece in request.stream()]
        return {"bytes": sum(sizes), "most": max(sizes, default=0)}

    @app.post("/twice", repeatable=True)
    async def twice(request: Request) -> str:
        ran(app, request)
        return "done"

    @app.post("/raises")
    async def raises(request: Request) -> str:
        ran(app, request)
        raise KeyError("oops")

    @app.post("/refuses")
    async def refuses(request: Request) -> str:
        ran(app, request)
        raise HTTPError(409, "no")


def unsafe_streams(app: App) -> None:
    """What must not happen twice, and is answered at length."""

    @app.post("/streams/{size:int}")
    async def streams(request: Request, size: int) -> Response:
        ran(app, request)
        return Response.stream(bytes(1000) for _ in range(0, size, 1000))

    @app.post("/rows")
    async def stepped(request: Request) -> Response:
        ran(app, request)
        return Response.stepped(app.steps.steps["rows"].at(0))

    @app.post("/rows/long")
    async def long(request: Request) -> Response:
        ran(app, request)
        return Response.stepped(app.steps.steps["rows"].at(0), headers=(("X-Long", "x" * 650),))


def only_streaming(make: Callable[[], AsyncIterator[bytes]], **options: Any) -> App:
    """An application whose only response streams what `make` gives."""
    app = App()

    @app.get("/")
    async def stream(request: Request) -> Response:
        return Response(200, Headers(), Streamed(make(), **options))

    return app
