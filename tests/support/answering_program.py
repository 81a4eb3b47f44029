"""An ASGI program that answers POST at length, and notes its process and its steps in a file."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
BLOCK = bytes(range(256)) * 256


def note(text: str) -> None:
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {text}\n")


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """`/lines?count=` lines, slowly; `/blocks?count=` blocks, at once, `/late?count=` after as long as lines take."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    count = int(parse_qs(scope["query_string"].decode())["count"][0])
    if scope["path"] == "/late":
        note("late")
        await asyncio.sleep(0.05 * count)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(count):
        slow = scope["path"] == "/lines"
        await send({"type": "http.response.body", "body": b"%d\n" % number if slow else BLOCK, "more_body": True})
        if slow:
            note(f"line {number}")
            await asyncio.sleep(0.05)
    await send({"type": "http.response.body"})
    if scope["path"] == "/blocks":
        await asyncio.sleep(1)  # what was sent last is stored soon
        note("end")
