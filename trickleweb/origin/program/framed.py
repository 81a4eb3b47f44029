"""Bodies as they go out: the parts of a stream framed as chunks or sent as they are, each with the cursor behind it.

One part is one chunk, so that equal bodies are framed alike on every replica, whatever their pace.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NamedTuple

from trickleweb.bodies import Body, Data, Stepped, Streamed
from trickleweb.errors import WebError
from trickleweb.http1 import LAST_CHUNK, Delivery, chunk_start
from trickleweb.origin.program.bounds import MOST_STEP_BYTES
from trickleweb.origin.program.items import close_items, items_of
from trickleweb.plain import Plain


class Part(NamedTuple):
    """Bytes on the wire, and the cursor behind them for a stepped body; `step` is False where no step ends."""

    data: bytes
    cursor: Plain = None
    step: bool = True


class WrongLength(WebError):
    """A body is not as long as its response's head said."""


class BadPart(WebError, TypeError):
    """A body gave something else than text, bytes, or pairs of these with a cursor."""


class StepTooLarge(WebError, ValueError):
    """A step gave more bytes than a replica keeps until all of it is checked: yield less with each cursor."""


Parts = AsyncGenerator[Part, None]
_Pairs = AsyncGenerator[tuple[bytes, Plain], None]


async def framed(body: Stepped | Streamed, delivery: Delivery) -> Parts:
    """What goes on the wire for `body`; raises whatever it raises, `WrongLength`, `BadPart` and `StepTooLarge`."""
    length = delivery.content_length
    sent = 0
    steps = isinstance(body, Stepped)
    async with aclosing(_stepped(body) if isinstance(body, Stepped) else _streamed(body)) as source:
        async for data, cursor in source:
            sent += len(data)
            if length is not None and sent > length:
                raise WrongLength(f"the body is longer than the {length} bytes that were announced")
            if not data:
                yield Part(b"", cursor, steps)
            elif delivery.chunked:
                yield Part(b"".join((chunk_start(len(data)), data, b"\r\n")), cursor, steps)
            else:
                yield Part(data, cursor, steps)
    if length is not None and sent < length:
        raise WrongLength(f"the body ended at {sent} of {length} bytes")
    if delivery.chunked:
        yield Part(LAST_CHUNK, step=False)


async def abandon(body: Body) -> None:
    """Close what a body would have streamed, for nobody takes it; whatever it raises then is dropped."""
    if isinstance(body, Streamed):
        await close_items(body.chunks)


async def _stepped(body: Stepped) -> _Pairs:
    async with aclosing(items_of(body.run())) as items:
        async for each in items:
            try:
                data, cursor = each
            except (TypeError, ValueError):
                raise BadPart("a step is a pair of data and the cursor behind it") from None
            data = _bytes(data)
            if len(data) > MOST_STEP_BYTES:
                raise StepTooLarge(
                    f"a step of {body.steps.name!r} gave {len(data)} bytes, over {MOST_STEP_BYTES}:"
                    " yield less with each cursor"
                )
            yield data, cursor


async def _streamed(body: Streamed) -> _Pairs:
    async with aclosing(items_of(body.chunks)) as items:
        async for data in items:
            yield _bytes(data), None


def _bytes(data: Data | Any) -> bytes:
    if isinstance(data, str):
        return data.encode("utf-8")
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise BadPart(f"a body gives text or bytes, not {type(data).__name__}")
