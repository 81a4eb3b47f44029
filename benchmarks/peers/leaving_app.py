"""Peer: slow programs that note when a run begins, in which process, and when its client has left."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

Message = dict[str, Any]
NOTES = "BENCH_EFFECTS"
WORK_SECONDS, TICK_SECONDS = 1.0, 0.1
TICKS = 1200
HEADERS = [(b"content-type", b"text/plain")]


def note(what: str) -> None:
    """Append one line: the event, the process, the moment by the clock that all processes share."""
    with Path(os.environ[NOTES]).open("a") as notes:
        notes.write(f"{what} {os.getpid()} {time.monotonic()}\n")


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer /slow after a second, /ticks by a stream, and all else at once."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/ticks":
        await _ticks(receive, send)
        return
    if scope["path"] == "/slow":
        note("begun")
        await asyncio.sleep(WORK_SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"done"})


async def _ticks(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})

    async def stream() -> None:
        for _ in range(TICKS):
            await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
            await asyncio.sleep(TICK_SECONDS)

    streaming = asyncio.create_task(stream())
    while (await receive())["type"] != "http.disconnect":
        pass
    streaming.cancel()
    note("left")


def threaded(environ: Message, start_response: Callable[..., Any]) -> Iterator[bytes]:
    """Answer /ticks by a stream that keeps its thread, and all else at once (WSGI)."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(TICKS if environ["PATH_INFO"] == "/ticks" else 1):
        yield b"tick\n"
        if environ["PATH_INFO"] == "/ticks":
            time.sleep(3 * TICK_SECONDS)
