"""A stream taken to its end, for a response that must be kept before it is sent."""

from __future__ import annotations

from contextlib import aclosing

from trickleweb.bodies import Complete, Streamed
from trickleweb.http1 import Delivery
from trickleweb.origin.program.framed import framed
from trickleweb.plain import StateTooLarge


async def collected(body: Streamed, most_bytes: int) -> Complete:
    """All that it gives; `StateTooLarge` if that is more, and whatever it raises."""
    delivery = Delivery(body.byte_count, chunked=False, has_body=True, keep_alive=False)
    parts, size = [], 0
    async with aclosing(framed(body, delivery)) as stream:
        async for part in stream:
            parts.append(part.data)
            size += len(part.data)
            if size > most_bytes:
                raise StateTooLarge(
                    f"the streamed response to an unsafe request takes more than {most_bytes} bytes, which the ledger"
                    " would have to keep: answer with a redirect to it, with a file, or from a cursor"
                )
    return Complete(b"".join(parts))
