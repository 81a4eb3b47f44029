"""Store responses to unsafe requests while programs make them.

A response is stored before it is sent: a client never gets a byte that another replica could not send again. The parts
of a body are appended as they come, those of one turn of the event loop together; long ones in pieces, so that the
first bytes are sent before the last are looked at. A program may run ahead of the store by `AHEAD_BYTES`, and then
waits; it never waits for a client, and ends although its client reads slowly.

If a program fails, or this process ends, the response is cut: clients get all that was stored, then a connection that
ends with an error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from trickles.service import Buffer
from trickles.shares import customer
from trickleweb.response_store import Growth, ResponseStore, ResponseWriter
from trickleweb.server.errors import Busy
from trickleweb.server.shelf import Shelf
from trickleweb.server.stored import StoredResponse
from trickleweb.server.tokens.stored import StoredToken

PIECE_BYTES = 1 << 18
AHEAD_BYTES = 1 << 20
Pieces = AsyncGenerator[bytes, None]


class Storing:
    """The responses that this replica stores now, at most `most`. `on_error` gets the faults of programs and stores."""

    def __init__(self, store: ResponseStore, shelf: Shelf, most: int, on_error: Callable[[Exception], None]) -> None:
        self._store = store
        self._shelf = shelf
        self._most = most
        self._on_error = on_error
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """True if a response is being stored."""
        return bool(self._tasks)

    async def close(self) -> None:
        """Cut all."""
        tasks = list(self._tasks)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def check(self) -> None:
        """Raise `Busy` if too many responses are being stored."""
        if len(self._tasks) >= self._most:
            raise Busy

    async def reserve(self, host: str) -> ResponseWriter:
        """Return the writer for a response to that host, before its program runs; raise `ResponseStoreError`."""
        return await self._store.begin(client=customer(host))

    async def start(
        self, writer: ResponseWriter, head: bytes, pieces: Pieces, status: int, *, last: bool
    ) -> StoredToken:
        """Store the head, and go on with the body; return its token. Raise `ResponseStoreError`.

        The writer, and the pieces, are closed at the end of the work.
        """
        try:
            await writer.start(head)
        except BaseException:
            writer.close()
            await pieces.aclose()
            raise
        token = StoredToken(writer.name, status, len(head), last)
        response = self._shelf.begun(token, head)
        task = asyncio.get_running_loop().create_task(self._fill(response, writer, pieces))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return token

    async def _fill(self, response: StoredResponse, writer: ResponseWriter, pieces: Pieces) -> None:
        async def write(data: Buffer) -> None:
            await writer.append(data)
            self._shelf.grew(response, data)

        growth = Growth.CUT
        try:
            async with aclosing(pieces):
                await _Joining(pieces).into(write)
            await writer.complete()
            growth = Growth.COMPLETE
        except Exception as error:  # noqa: BLE001 - any exception of a program or a store cuts the response
            self._on_error(error)
        finally:
            writer.close()
            self._shelf.grew(response, b"", growth)


class _Joining:
    """Reads pieces ahead of a consumer, and joins those that came meanwhile."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._held: deque[Buffer] = deque()
        self._held_bytes = 0
        self._changed = asyncio.Event()
        self._ended = False

    async def into(self, write: Callable[[Buffer], Awaitable[None]]) -> None:
        """Write all pieces, joined or cut; raise the errors of both sides, after all that came before one."""
        reading = asyncio.get_running_loop().create_task(self._read())
        try:
            while True:
                while self._held:
                    await write(self._take())
                if self._ended:
                    break
                await self._until_changed()
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for piece in self._pieces:
                if not piece:
                    continue
                self._held.append(piece)
                self._held_bytes += len(piece)
                self._changed.set()
                while self._held_bytes >= AHEAD_BYTES:
                    await self._until_changed()
        finally:
            self._ended = True
            self._changed.set()

    def _take(self) -> Buffer:
        """Return the next bytes, at most `PIECE_BYTES`."""
        first = self._held.popleft()
        taken: Buffer = first
        if len(first) > PIECE_BYTES:
            view = memoryview(first)
            taken = view[:PIECE_BYTES]
            self._held.appendleft(view[PIECE_BYTES:])
        elif self._held and len(self._held[0]) < PIECE_BYTES:
            parts, size = [first], len(first)
            while self._held and size + len(self._held[0]) <= PIECE_BYTES:
                size += len(self._held[0])
                parts.append(self._held.popleft())
            taken = b"".join(parts)
        self._held_bytes -= len(taken)
        self._changed.set()
        return taken

    async def _until_changed(self) -> None:
        self._changed.clear()
        await self._changed.wait()
