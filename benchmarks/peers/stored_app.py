"""Peer: a Starlette program that streams a chat by POST, returns much, and makes forms with a fresh token.

Each step of a run leaves a line where BENCH_EFFECTS says: the pid, the seconds since 1970, and the step.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from functools import cache

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

PIECE = bytes(range(256)) * 256
LINES = "<p>Some text of a form.</p>\n" * 170


@cache
def notes() -> int:
    return os.open(os.environ["BENCH_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(step: object) -> None:
    os.write(notes(), f"{os.getpid()} {time.time()} {step}\n".encode())


async def chat(request: Request) -> Response:
    """So many events, a fixed time apart, after some time to think."""
    asked = await request.json()

    async def events() -> AsyncIterator[bytes]:
        await asyncio.sleep(asked["think"])
        for number in range(asked["events"]):
            yield b'data: {"choices":[{"delta":{"content":" word%d"}}]}\n\n' % number
            note(number)
            await asyncio.sleep(asked["apart"])
        yield b"data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def large(request: Request) -> Response:
    """So many pieces."""
    count = int(request.query_params["pieces"])

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield PIECE
        note("end")

    return StreamingResponse(pieces(), media_type="application/octet-stream")


async def message(request: Request) -> Response:
    """The same in one message."""
    return Response(PIECE * int(request.query_params["pieces"]))


async def form(_request: Request) -> Response:
    return HTMLResponse(f"<form><input name=token value={secrets.token_hex(16)}>{LINES}</form>")


app = Starlette(
    routes=[
        Route("/chat", chat, methods=["POST"]),
        Route("/large", large, methods=["GET", "POST"]),
        Route("/message", message, methods=["GET", "POST"]),
        Route("/form", form),
    ]
)
