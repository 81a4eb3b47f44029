"""One request to an application, run as on a replica, with its response collected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from trickleweb.application import Application
from trickleweb.bodies import Stepped, Streamed
from trickleweb.bodies.iteration import WrongLength
from trickleweb.errors import HTTPError, WebError
from trickleweb.headers import Headers
from trickleweb.http1 import parse_head_untrusted, sent_fields
from trickleweb.limits import PROGRAM_LIMITS
from trickleweb.messages import NeedMore
from trickleweb.request import Request, Setting
from trickleweb.responses import Response
from trickleweb.server.direct import answered, unread
from trickleweb.server.run import ResolvedResponse, Responder
from trickleweb.telemetry.wrapped import Wrapped


class IncompleteResponse(WebError):
    """A body that broke off, so that the client's transfer fails; `content` is its beginning."""

    def __init__(self, content: bytes, why: str, status: int = 200, headers: Headers | None = None) -> None:
        super().__init__(f"the body broke off after {len(content)} bytes: {why}")
        self.content = content
        self.status = status
        self.headers = headers or Headers()


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A response as on the wire, without Date and Server, and as the application made it."""

    status: int
    headers: Headers
    content: bytes
    made: Response
    exception: Exception | None = None  # answered 500


async def exchange(
    application: Application,
    head_bytes: bytes,
    body: bytes | AsyncIterator[bytes],
    setting: Setting,
    most_bytes: int | None = None,
) -> Exchanged:
    """Send one request to an application; raise `IncompleteResponse` if its response breaks off.

    A body without a fixed length is abandoned after `most_bytes`.
    """
    try:
        head = parse_head_untrusted(head_bytes, PROGRAM_LIMITS)
        if isinstance(head, NeedMore):
            raise HTTPError(400, "The request is incomplete.")
    except HTTPError as error:
        found = unread(error, has_body=not head_bytes.startswith(b"HEAD "))
        content = await _gathered(application, found, None)
        return Exchanged(found.status, _sent(found), content, found.made)
    errors: list[Exception] = []
    watched = _Watched(application)
    found = await answered(Responder(watched, errors.append), head, body, setting)
    errors += watched.errors()
    content = await _gathered(application, found, most_bytes)
    return Exchanged(found.status, _sent(found), content, found.made, errors[0] if errors else None)


def _sent(found: ResolvedResponse) -> Headers:
    return Headers(tuple(sent_fields(found.headers, found.delivery)))


async def _gathered(application: Application, found: ResolvedResponse, most_bytes: int | None) -> bytes:
    """Return the body; at most `most_bytes` of one that is made while it is sent."""
    content = bytearray()
    most = most_bytes if isinstance(found.body, Stepped | Streamed) else None
    try:
        async with aclosing(found.content(application.read)) as pieces:
            async for data in pieces:
                content += data
                if most is not None and len(content) >= most:
                    return bytes(content[:most])
    except WrongLength:
        why = f"announced were {found.delivery.content_length}"
        raise IncompleteResponse(bytes(content), why, found.status, _sent(found)) from None
    except Exception as exc:
        raise IncompleteResponse(bytes(content), repr(exc), found.status, _sent(found)) from exc
    return bytes(content)


class _Watched(Wrapped):
    """An application that remembers its last request."""

    def __init__(self, inner: Application) -> None:
        super().__init__(inner)
        self._request: Request | None = None

    async def respond(self, request: Request) -> Response:
        self._request = request
        return await self.inner.respond(request)

    def errors(self) -> list[Exception]:
        """Return the exceptions that the application answered 500 itself."""
        error = None if self._request is None else self._request.state.get("exception")
        return [error] if isinstance(error, Exception) else []
