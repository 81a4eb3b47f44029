"""Starlette: event streams by `sse-starlette`, which sends heartbeats, or by hand where that is not installed."""

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from benchmarks.applications.programs.database import database

EVENTS, DISTANCE_SECONDS, HEARTBEAT_SECONDS = 40, 0.05, 1


def events(request: Request) -> Response:
    """Events with ids; a browser that reconnects says which it had last."""
    after = int(request.headers.get("last-event-id", "0"))

    async def numbered() -> AsyncIterator[dict[str, str]]:
        for number in range(after + 1, EVENTS + 1):
            await asyncio.sleep(DISTANCE_SECONDS)
            yield {"id": str(number), "event": "number", "data": f"value {number * number}"}
        yield {"event": "end", "data": "all sent"}

    return event_response(numbered())


def event_response(source: AsyncIterator[dict[str, str]]) -> Response:
    """A response of events."""
    if find_spec("sse_starlette") is not None:
        from sse_starlette.sse import EventSourceResponse

        return EventSourceResponse(source, ping=HEARTBEAT_SECONDS)

    async def lines() -> AsyncIterator[str]:
        async for each in source:
            yield "".join(f"{name}: {value}\r\n" for name, value in each.items()) + "\r\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


async def add(request: Request) -> Response:
    note = await request.json()
    with database() as rows:
        rows.execute("INSERT INTO notes (title, text) VALUES (?, '')", (note["title"],))
    return JSONResponse({"added": note["title"]}, 201)


app = Starlette(routes=[Route("/events", events), Route("/notes", add, methods=["POST"])])
