"""Store responses to unsafe requests while programs make them.

A response is stored before it is sent: a client never gets a byte that another replica could not send again. The parts
of a body are appended as they come, those of one turn of the event loop together; long ones in pieces, so that the
first bytes are sent before the last are looked at. A program may run ahead of the store by `AHEAD_BYTES`, and then
waits; it never waits for a client, and ends although its client reads slowly. The last bytes and the end of a response
are one step: the last are those after which its pieces have ended, or those that complete its announced length.

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
from trickleweb.errors import ClientLeft
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
    def running(self) -> list[asyncio.Task[None]]:
        """The work on the responses that are being stored now."""
        return list(self._tasks)

    async def close(self) -> None:
        """End all responses that are being stored: they are CUT."""
        tasks = self.running
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
        self, writer: ResponseWriter, head: bytes, pieces: Pieces, status: int, *, length: int | None, last: bool
    ) -> StoredToken:
        """Store the head, and go on with the body; return its token. Raise `ResponseStoreError`.

        `length` of the body in bytes, None if it is not known. The writer, and the pieces, are closed at the end of
        the work.
        """
        try:
            await writer.start(head)
        except BaseException:
            writer.close()
            await pieces.aclose()
            raise
        token = StoredToken(writer.name, status, len(head), last)
        response = self._shelf.begun(token, head)
        task = asyncio.get_running_loop().create_task(self._fill(response, writer, pieces, length))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return token

    async def _fill(self, response: StoredResponse, writer: ResponseWriter, pieces: Pieces, length: int | None) -> None:
        async def write(data: Buffer, last: bool) -> None:
            await writer.append(data, last=last)
            self._shelf.grew(response, data, Growth.COMPLETE if last else Growth.OPEN)

        try:
            async with aclosing(pieces):
                await _Joining(pieces, length).into(write)
        except ClientLeft:
            pass
        except Exception as error:  # noqa: BLE001 - any exception of a program or a store ends the response
            self._on_error(error)
        finally:
            writer.close()
            if not response.over:
                self._shelf.grew(response, b"", Growth.CUT)


class _Joining:
    """Reads pieces ahead of a consumer, and joins those that came meanwhile; of `length` bytes if that is known."""

    def __init__(self, pieces: AsyncIterator[bytes], length: int | None) -> None:
        self._pieces = pieces
        self._rest = length  # bytes that are still to be read
        self._held: deque[Buffer] = deque()
        self._held_bytes = 0
        self._changed = asyncio.Event()
        self._whole = False  # all that belongs to the response was read

    async def into(self, write: Callable[[Buffer, bool], Awaitable[None]]) -> None:
        """Write all pieces, joined or cut, and with the last one True; raise the errors of both sides, after all that
        came before one.
        """
        reading = asyncio.get_running_loop().create_task(self._read())
        try:
            last = False
            while not last and (self._held or self._whole or not reading.done()):
                if self._held or self._whole:
                    data = self._take() if self._held else b""
                    last = self._whole and not self._held
                    await write(data, last)
                else:
                    await self._until_changed()
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for piece in self._pieces:
                if piece:
                    self._hold(piece)
                while self._held_bytes >= AHEAD_BYTES:
                    await self._until_changed()
            self._whole = True
        finally:
            self._changed.set()

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_bytes += len(piece)
        if self._rest is not None:
            self._rest -= len(piece)
            self._whole = not self._rest
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
