"""Make event streams without a task or a generator for each: a listener puts steps into the producer as they come.

A stream that waits costs a listener. A task runs only while a stream reads pages of its source, until it is near enough
to the end (`events.feed`). Heartbeats are left to the client, which inserts them while its request waits at the end of
the stream: so two replicas that make the same range make the same bytes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from trickles.limits import SECOND
from trickles.service import Heartbeat
from trickleweb.bodies.iteration import DEFAULT_BODY_LIMITS, StepTooLarge, framed
from trickleweb.bodies.kinds import Streamed
from trickleweb.bodies.steps import Data, LiveSteps, Step, Stepped
from trickleweb.http1 import LAST_CHUNK, BodyDelivery, chunk_start
from trickleweb.server.producer import PartsPump, Producer, Pump


class LivePump:
    """Puts the steps of a reader into a producer."""

    behind_bytes = 1 << 14  # an event stream is slow: what is lost is repeated from a cursor
    block_bytes = 1 << 12

    def __init__(self, reader: LiveSteps, *, chunked: bool) -> None:
        self._reader = reader
        self._chunked = chunked
        self.heartbeat: Heartbeat | None = heartbeat_of(reader, chunked=chunked)
        self._fetching: asyncio.Task[None] | None = None
        self._missed = False  # a call while a page was read

    def start(self, producer: Producer) -> None:
        self._loop = asyncio.get_running_loop()
        self._producer = producer
        self._reader.listen(self.more)
        self.more()

    def more(self) -> None:
        """Put what there is, unless enough is made."""
        producer, reader = self._producer, self._reader
        if self._fetching is not None or producer.over:
            self._missed = True
            return
        while not producer.is_ahead:
            try:
                found = reader.ready()
            except Exception as error:  # noqa: BLE001 - a source's
                self._end(error)
                return
            if found is None:
                self._fetching = self._loop.create_task(self._fetch())
                return
            self._put(found)
            if reader.ended:
                self._end()
            if not found or producer.over:
                return

    def close(self) -> None:
        self._reader.leave(self.more)
        if self._fetching is not None:
            self._fetching.cancel()

    async def wait_closed(self) -> None:
        if self._fetching is not None:
            with suppress(asyncio.CancelledError):
                await self._fetching

    async def _fetch(self) -> None:
        self._missed = False
        try:
            found = await self._reader.fetch()
        except Exception as error:  # noqa: BLE001 - a source's
            self._end(error)
            return
        finally:
            self._fetching = None
        self._put(found)
        if self._reader.ended:
            self._end()
        elif found or self._missed:
            self.more()

    def _put(self, steps: list[Step]) -> None:
        for data, cursor in steps:
            if len(data) > DEFAULT_BODY_LIMITS.step_bytes:
                self._end(StepTooLarge(f"an event of {len(data)} bytes, over {DEFAULT_BODY_LIMITS.step_bytes}"))
                return
            self._producer.put(_framed(data, chunked=self._chunked), cursor)
        if steps:
            self._producer.forget()

    def _end(self, failure: Exception | None = None) -> None:
        if failure is None and self._chunked:
            self._producer.put(LAST_CHUNK, None, step=False)
        self._producer.end(failure)
        self._reader.leave(self.more)


def pump_of(body: Stepped | Streamed, delivery: BodyDelivery) -> Pump:
    """Return the pump of a body."""
    if isinstance(body, Stepped) and body.steps.reader is not None:
        return LivePump(body.steps.reader(body.cursor, body.args), chunked=delivery.chunked)
    return PartsPump(framed(body, delivery))


def heartbeat_of(reader: LiveSteps, *, chunked: bool) -> Heartbeat:
    """Return the heartbeat of an event stream, for its client."""
    return Heartbeat(_framed(reader.comment, chunked=chunked), int(reader.heartbeat * SECOND), reader.subject)


def reader_at_end(body: Stepped, byte_count: int, *, chunked: bool) -> LiveSteps | None:
    """Return the reader of an event stream, if it makes `byte_count` bytes without waiting, and has nothing after them.

    None if that is not so, or is not known.
    """
    if body.steps.reader is None:
        return None
    reader = body.steps.reader(body.cursor, body.args)
    found, after = reader.ready(), reader.ready()
    if found is None or after is None or reader.ended:
        return None
    made = sum(len(_framed(data, chunked=chunked)) for data, _ in found + after)
    return reader if made == byte_count else None


def _framed(data: Data, *, chunked: bool) -> bytes:
    assert isinstance(data, bytes)
    return b"".join((chunk_start(len(data)), data, b"\r\n")) if chunked else data
