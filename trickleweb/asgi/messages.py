"""`receive` and `send`, the two callables that an ASGI program gets with a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from trickleweb.asgi.outgoing import AsgiRun, Begun, ProgramError
from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.http1.render import render_field
from trickleweb.request import Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
ByteHeaders = list[tuple[bytes, bytes]]

VERSION = "3.0"
HTTP_SPEC_VERSION = "2.3"  # after a disconnect `receive` reports it and `send` does nothing
LIFESPAN_SPEC_VERSION = "2.0"
DISCONNECT: Message = {"type": "http.disconnect"}
EXTENSION = "trickleweb.request"  # the scope's extension


START, BODY = "http.response.start", "http.response.body"


class AsgiReceiver:
    """`receive`: the body in pieces, once; after the end of the response, or the client, `http.disconnect`."""

    def __init__(self, request: Request, outgoing: AsgiRun) -> None:
        self._pieces: AsyncIterator[bytes] | None = body_of(request, outgoing)
        self._next: bytes | None = None
        self._outgoing = outgoing

    async def __call__(self) -> Message:
        if self._pieces is None:
            await self._outgoing.until_disconnected()
        if self._outgoing.over or self._outgoing.disconnected:
            return dict(DISCONNECT)
        pieces = self._pieces
        assert pieces is not None
        piece = b"" if self._next is None else self._next
        self._next = await anext(pieces, None)
        if not piece and self._next is not None:
            piece, self._next = self._next, await anext(pieces, None)
        if self._next is None:
            self._pieces = None
        return {"type": "http.request", "body": piece, "more_body": self._next is not None}


class AsgiSender:
    """`send`: a start, then the body; any other message raises in the program."""

    def __init__(self, outgoing: AsgiRun) -> None:
        self._outgoing = outgoing
        self._completed = False

    async def __call__(self, message: Message) -> None:
        """Accept a message; raise `ProgramError` for one out of order."""
        outgoing, kind = self._outgoing, message.get("type")
        if self._completed:
            raise ProgramError(f"unexpected ASGI message {kind!r}: the response is complete")
        try:
            if outgoing.gone:
                await outgoing.write(b"")
            elif not outgoing.begun:
                _check_kind(kind, START)
                outgoing.begin(_begun(message))
            else:
                _check_kind(kind, BODY)
                self._completed = not message.get("more_body", False)
                await outgoing.write(_data(message), last=self._completed)
        except Exception as error:
            outgoing.fail(error)
            raise


async def body_of(request: Request, outgoing: AsgiRun) -> AsyncIterator[bytes]:
    """Yield the body in pieces. A refusal (413) becomes the response, however the program handles it."""
    try:
        async for piece in request.stream():
            yield piece
    except HTTPError as error:
        outgoing.fail(error)
        raise


def begun_with(status: int, headers: Headers) -> Begun:
    """Return a response head with the framing of its headers; raise `ProgramError` for an invalid Content-Length."""
    lengths = set(headers.all("content-length"))
    announced = lengths.pop() if len(lengths) == 1 else ""
    if lengths or (announced and not (announced.isascii() and announced.isdigit() and len(announced) < 19)):
        raise ProgramError("an invalid Content-Length, or several")
    return Begun(status, headers, int(announced) if announced else None, close="close" in headers.tokens("connection"))


def _check_kind(kind: object, expected: str) -> None:
    if kind != expected:
        raise ProgramError(f"expected the ASGI message {expected!r}, and got {kind!r}")


def _begun(message: Message) -> Begun:
    status = message.get("status")
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise ProgramError(f"{status!r} is not the status of a final response")
    return begun_with(status, _headers(message.get("headers", ())))


def _headers(pairs: Iterable[Any]) -> Headers:
    try:
        made = tuple((bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in pairs)
    except (TypeError, ValueError):
        raise ProgramError("headers are pairs of bytes, name and value") from None
    for name, value in made:
        render_field(name, value)
    return Headers(made)


def _data(message: Message) -> bytes:
    body = message.get("body", b"")
    if not isinstance(body, bytes | bytearray | memoryview):
        raise ProgramError(f"a body is bytes, not {type(body).__name__}")
    return bytes(body)
