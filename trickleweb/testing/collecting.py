"""One request put to an application, as a replica does it, and its response gathered, whatever kind its body is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from trickleweb.application import Application
from trickleweb.bodies import Stepped, Streamed
from trickleweb.bodies.iteration import WrongLength
from trickleweb.errors import HTTPError, WebError
from trickleweb.headers import Headers
from trickleweb.http1 import error_plan, parse_head_untrusted
from trickleweb.messages import Inline, NeedMore
from trickleweb.request import Request, Setting
from trickleweb.responses import Response
from trickleweb.server.run import ResolvedResponse, Responder, answered
from trickleweb.telemetry.wrapped import Wrapped


class IncompleteResponse(WebError):
    """The body broke off: a client sees its transfer end visibly. `content` is what had come, after the head."""

    def __init__(self, content: bytes, why: str, status: int = 200, headers: Headers | None = None) -> None:
        super().__init__(f"the body broke off after {len(content)} bytes: {why}")
        self.content = content
        self.status = status
        self.headers = headers or Headers()


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A response as it is on the wire, and as the application made it."""

    status: int
    headers: Headers
    content: bytes
    made: Response
    exception: Exception | None = None  # what was answered 500


async def exchange(
    application: Application,
    head_bytes: bytes,
    body: bytes | AsyncIterator[bytes],
    setting: Setting,
    most_bytes: int | None = None,
) -> Exchanged:
    """Put one request to an application; `IncompleteResponse` if its response breaks off.

    A body that is made on the way is left after `most_bytes`.
    """
    try:
        head = parse_head_untrusted(head_bytes)
        if isinstance(head, NeedMore):
            raise HTTPError(400, "The request is cut.")
    except HTTPError as error:
        plan = error_plan(error)
        data = b"".join([piece.data for piece in plan.pieces if isinstance(piece, Inline)])
        return Exchanged(plan.status, plan.headers, data, Response(plan.status, plan.headers))
    errors: list[Exception] = []
    watched = _Watched(application)
    found = await answered(Responder(watched, errors.append), head, body, setting)
    errors += watched.errors()
    length = found.delivery.content_length
    headers = found.headers.added(*(() if length is None else (("Content-Length", str(length)),)))
    content = await _gathered(application, found, most_bytes)
    return Exchanged(found.status, headers, content, found.made, errors[0] if errors else None)


async def _gathered(application: Application, found: ResolvedResponse, most_bytes: int | None) -> bytes:
    """All of the body; of one that is made on the way, perhaps the beginning only."""
    content = bytearray()
    most = most_bytes if isinstance(found.body, Stepped | Streamed) else None
    try:
        async with aclosing(found.content(application.read)) as pieces:
            async for data in pieces:
                content += data
                if most is not None and len(content) >= most:
                    return bytes(content[:most])
    except WrongLength:
        told = f"it said that it has {found.delivery.content_length}"
        raise IncompleteResponse(bytes(content), told, found.status, found.headers) from None
    except Exception as exc:
        raise IncompleteResponse(bytes(content), repr(exc), found.status, found.headers) from exc
    return bytes(content)


class _Watched(Wrapped):
    """The application, and the request that it got."""

    def __init__(self, inner: Application) -> None:
        super().__init__(inner)
        self._request: Request | None = None

    async def respond(self, request: Request) -> Response:
        self._request = request
        return await self.inner.respond(request)

    def errors(self) -> list[Exception]:
        """The exceptions that the application has answered 500 itself."""
        error = None if self._request is None else self._request.state.get("exception")
        return [error] if isinstance(error, Exception) else []
