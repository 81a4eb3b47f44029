"""The response of one program's run: begun, written and ended by the program, read by the server at its own pace."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import NamedTuple

from trickleweb.bodies import Body, Complete, Streamed
from trickleweb.errors import ClientLeft, HTTPError, WebError
from trickleweb.headers import Headers
from trickleweb.request import Request
from trickleweb.responses import Response

HELD_BYTES = 65_536  # written and not read: with more, the program waits
SETTLE_S = 0.05  # a head without length waits so long for a body in one piece
_BODILESS = frozenset({204, 205, 304})


class ProgramError(WebError, RuntimeError):
    """A program broke its interface: the client gets a 500, or a body that ends with an error."""


class Begun(NamedTuple):
    """A response's head; `byte_count` is the length of its body if announced."""

    status: int
    headers: Headers
    byte_count: int | None = None
    close: bool = False


def begun_with(status: int, headers: Headers) -> Begun:
    """Return a response head with the framing of its headers; raise `ProgramError` for an invalid Content-Length."""
    lengths = set(headers.all("content-length"))
    announced = lengths.pop() if len(lengths) == 1 else ""
    if lengths or (announced and not (announced.isascii() and announced.isdigit() and len(announced) < 19)):
        raise ProgramError("an invalid Content-Length, or several")
    return Begun(status, headers, int(announced) if announced else None, close="close" in headers.tokens("connection"))


class AsgiRun:
    """The response of one run. After `gone` it has no reader, and what is sent is dropped.

    `on_gone` is called when that happens before the response has ended.
    """

    def __init__(self, *, head_only: bool, on_gone: Callable[[], None] = lambda: None) -> None:
        self.gone = False
        self.disconnected = False
        self._head_only = head_only
        self._on_gone = on_gone
        self._begun: Begun | None = None
        self._dropping = False
        self._streamed = False
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._sent_bytes = 0
        self._writes = 0
        self._ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def begun(self) -> bool:
        """True if the program has sent a head."""
        return self._begun is not None

    @property
    def over(self) -> bool:
        """True if nothing more will be sent or read."""
        return self._ended or self.gone or self._error is not None

    @property
    def deserted(self) -> bool:
        """True if nobody waits for the rest of a streamed response: a program may end it."""
        return self.gone or (self.disconnected and self._streamed)

    def begin(self, begun: Begun) -> None:
        self._begun = begun
        self._changed.set()

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a chunk of the body, waiting while too much is held; raise `ProgramError` for more or less than
        announced.
        """
        if self.gone or self._dropping:
            self._end(last)
            await asyncio.sleep(0)  # a program that never waits must not block the loop
            return
        self._sent_bytes += len(data)
        self._writes += 1
        self._check_length(last)
        if data:
            self._chunks.append(data)
            self._held_bytes += len(data)
        self._end(last)
        if not last:
            await self._until(lambda: self._held_bytes <= HELD_BYTES or self.over)

    def left_open(self) -> WebError | None:
        """Return the error of a program that returned without completing its response."""
        if self.over:
            return None
        if self.deserted:
            return ClientLeft("the client left before the end of the response")
        missing = "completing its" if self._begun else "a"
        return ProgramError(f"the program returned without {missing} response")

    def fail(self, error: Exception) -> bool:
        """End the response with an error; return False if it was over already."""
        if self.over:
            return False
        self._error = error
        self._changed.set()
        return True

    def abandon(self) -> None:
        """Drop the rest of the response: it has no reader."""
        self._taken_whole()
        if not self.over:
            self.gone = True
            self._changed.set()
            self._on_gone()

    async def response(self) -> Response:
        """Return the response, as soon as its kind of body is known; raise the error that prevented it."""
        await self._until(lambda: self._begun is not None or self.over)
        if self._begun is not None:
            await self._until_settled(self._begun)
        if self._error is not None:
            raise self._error
        begun = self._begun
        if begun is None:
            raise ProgramError("the program's run was ended")
        return Response(begun.status, begun.headers, self._body(begun), close=begun.close)

    async def take(self) -> bytes | None:
        """Return the next chunk as it was sent, None at the end; raise the error that ended the program before."""
        await self._until(lambda: bool(self._chunks) or self.over)
        if self._chunks:
            chunk = self._chunks.popleft()
            self._held_bytes -= len(chunk)
            self._changed.set()
            return chunk
        if self._error is not None:
            raise self._error
        if not self._ended:
            raise ProgramError("the program's run was ended")
        return None

    async def until_disconnected(self) -> None:
        await self._until(lambda: self.disconnected or self.over)

    def disconnect(self) -> None:
        """Report to the program that its client has left; its response is still wanted."""
        self.disconnected = True
        self._changed.set()

    def abandon_soon(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.abandon)

    def _body(self, begun: Begun) -> Body:
        if begun.status in _BODILESS:
            self._dropping = True
            self._taken_whole()
            return Complete()
        in_one = self._ended and self._writes == 1  # several writes are cut alike on every replica, at any pace
        if self._head_only and (begun.byte_count is not None or not in_one):
            self._dropping = True
            self._taken_whole()
            return Streamed((), begun.byte_count)
        if in_one or self._sent_bytes == begun.byte_count:
            return Complete(self._taken_whole())
        self._streamed = True
        return Streamed(Chunks(self), begun.byte_count)

    def _taken_whole(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._held_bytes = 0
        self._changed.set()
        return data

    async def _until_settled(self, begun: Begun) -> None:
        """Wait until the body is known to be complete or streamed.

        With an announced length that depends on the program and not on timing, so that all replicas agree.
        """
        size = begun.byte_count
        if begun.status in _BODILESS or (self._head_only and size is not None):
            return
        if size is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_S):
                    await self._until(lambda: self._sent_bytes > 0 or self.over)
            return
        enough = size if size <= HELD_BYTES else 1
        await self._until(lambda: self._sent_bytes >= enough or self.over)

    def _check_length(self, last: bool) -> None:
        begun = self._begun
        announced = None if begun is None or begun.status in _BODILESS or self._head_only else begun.byte_count
        if announced is None or (self._sent_bytes == announced if last else self._sent_bytes <= announced):
            return
        more = "" if last else " or more"
        error = ProgramError(f"a body of {self._sent_bytes} bytes{more}, not of the announced {announced}")
        self.fail(error)
        raise error

    def _end(self, last: bool) -> None:
        self._ended = self._ended or last
        self._changed.set()

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            self._changed.clear()
            await self._changed.wait()


class Chunks:
    """The chunks that a program sends, once. `aclose`, or the end of this object, ends the program's run."""

    def __init__(self, outgoing: AsgiRun) -> None:
        self._outgoing = outgoing
        weakref.finalize(self, outgoing.abandon_soon).atexit = False

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._outgoing.take()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        self._outgoing.abandon()


async def body_of(request: Request, outgoing: AsgiRun) -> AsyncIterator[bytes]:
    """Yield the body in pieces. A refusal (413) becomes the response, however the program handles it."""
    try:
        async for piece in request.stream():
            yield piece
    except HTTPError as error:
        outgoing.fail(error)
        raise
