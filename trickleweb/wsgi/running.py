"""One run of a WSGI program on a thread, whose calls are passed to an `AsgiRun` on the loop."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import IO, Any, TypeVar, cast

from trickleweb.asgi.outgoing import AsgiRun, Begun, ProgramError, begun_with
from trickleweb.headers import Headers
from trickleweb.http1.render import render_field

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
T = TypeVar("T")
OnLoop = Callable[[Coroutine[Any, Any, T]], T]  # runs a coroutine on the loop, from a thread, and returns its result
_STATUS = re.compile(r"([2-5][0-9][0-9])(?: [^\x00-\x1f\x7f]*)?")
_BUFFER_BYTES = 65_536


class Run:
    """Calls the program and iterates its result; faults of the program raise `ProgramError` in it."""

    def __init__(self, outgoing: AsgiRun, on_loop: OnLoop[None]) -> None:
        self._outgoing = outgoing
        self._on_loop = on_loop
        self._head: Begun | None = None
        self._sent = False

    def __call__(self, app: WsgiApp, environ: dict[str, Any]) -> None:
        """Run the program to its end, or until nobody waits for more of its pieces; `close` is always called."""
        if self._outgoing.gone:  # since it waited for a thread
            return
        chunks = app(environ, self.start_response)
        try:
            self._iterate(chunks)
        finally:
            if (close := getattr(chunks, "close", None)) is not None:
                close()

    def start_response(self, status: str, headers: Sequence[tuple[str, str]], exc_info: ExcInfo | None = None) -> Write:
        """Set the head (PEP 3333): with `exc_info` an unsent head is replaced, and a sent one raises it."""
        try:
            if exc_info is not None and self._sent and exc_info[1] is not None:
                raise exc_info[1].with_traceback(exc_info[2])
        finally:
            exc = exc_info
            exc_info = None  # PEP 3333: no cycle of frame and traceback
        if exc is None and self._head is not None:
            raise ProgramError("start_response was called twice, without exc_info")
        self._head = _begun(status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Send data at once, as old programs do."""
        self._take(data, last=False)

    def _take(self, data: Any, *, last: bool) -> None:
        if not isinstance(data, bytes):
            raise ProgramError(f"a body is bytes, not {type(data).__name__}")
        if data or last:
            self._on_loop(self._send(data, last=last))

    def _iterate(self, chunks: Iterable[bytes]) -> None:
        made = isinstance(chunks, Sequence)  # all of it, so that a client that is back gets the rest
        alone = isinstance(chunks, Sequence) and len(chunks) == 1 and not self._sent
        for chunk in chunks:
            self._take(chunk, last=alone)
            if alone:
                return
            if self._outgoing.gone or (self._outgoing.deserted and not made):
                return
        self._on_loop(self._send(b"", last=True))

    async def _send(self, data: bytes, *, last: bool) -> None:
        """Send data; the head goes out with the first data or the end, so that the program may change it until then."""
        if not self._sent:
            if self._head is None:
                raise ProgramError("data before start_response")
            self._outgoing.begin(self._head)
            self._sent = True
        await self._outgoing.write(data, last=last)


def _begun(status: str, headers: Sequence[tuple[str, str]]) -> Begun:
    found = _STATUS.fullmatch(str(status))
    if found is None:
        raise ProgramError(f"{status!r} is no status line of a final response")
    try:
        pairs = tuple((str(name), str(value)) for name, value in headers)
    except (TypeError, ValueError):
        raise ProgramError("headers are pairs of texts, name and value") from None
    for name, value in pairs:
        render_field(name, value)
    return begun_with(int(found[1]), Headers(pairs))


def body_file(pieces: AsyncIterator[bytes], on_loop: OnLoop[bytes]) -> IO[bytes]:
    """Return a file that is read once, from beginning to end; it raises the errors of `pieces`."""
    return cast("IO[bytes]", io.BufferedReader(_Pieces(pieces, on_loop), _BUFFER_BYTES))


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: AsyncIterator[bytes], on_loop: OnLoop[bytes]) -> None:
        self._pieces = pieces
        self._on_loop = on_loop
        self._rest = memoryview(b"")
        self._broken: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes, 0 at the end; after an error raise that each time."""
        if self._broken is not None:
            raise self._broken
        if not self._rest:
            try:
                self._rest = memoryview(self._on_loop(_next(self._pieces)))
            except Exception as error:
                self._broken = error
                raise
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    async for piece in pieces:
        if piece:
            return piece
    return b""
