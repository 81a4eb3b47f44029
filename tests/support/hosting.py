"""Foreign programs run as an `Application`, and what came of one request."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from tests.support.web import request
from trickleweb.application import Application
from trickleweb.asgi.messages import AsgiApp, Message, Receive, Scope, Send
from trickleweb.bodies import Complete, Streamed
from trickleweb.request import Request
from trickleweb.responses import Response

START: Message = {"type": "http.response.start", "status": 200, "headers": []}


def body_message(data: bytes = b"", *, more: bool = False) -> Message:
    """A piece of a body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


def sending(*messages: Message) -> AsgiApp:
    """A program that sends these messages."""

    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return program


async def content(response: Response) -> bytes:
    """The whole body of a program's response."""
    match response.body:
        case Complete(data):
            return data
        case Streamed(chunks):
            assert isinstance(chunks, AsyncIterable)
            return b"".join([_bytes(chunk) async for chunk in chunks])
    raise AssertionError(f"no body of a program: {response.body}")


async def answered(application: Application, asked: Request | None = None) -> tuple[Response, bytes]:
    """The response to a request, and its body."""
    response = await application.respond(asked or request())
    return response, await content(response)


async def until_idle(application: Any) -> None:
    """Wait until the application runs nothing."""
    while application._runs:
        await asyncio.wait(application._runs)


async def slow(*data: bytes) -> AsyncIterator[bytes]:
    """A body that comes in pieces, each after others had their turn."""
    for each in data:
        await asyncio.sleep(0)
        yield each


def _bytes(chunk: bytes | str) -> bytes:
    assert isinstance(chunk, bytes)
    return chunk
