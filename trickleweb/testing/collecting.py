"""One request put to an application, as a server does it, and its response gathered, whatever kind its body is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from trickleweb.application import Application
from trickleweb.asgi import bodies
from trickleweb.bodies import Complete, FileBody, Rendered, Stepped, Streamed
from trickleweb.errors import HTTPError, WebError
from trickleweb.headers import Headers
from trickleweb.http1 import decide_delivery, error_plan, parse_head_untrusted
from trickleweb.messages import Inline, NeedMore, Plan
from trickleweb.messages import Request as Head
from trickleweb.request import Request, Setting
from trickleweb.responses import Response, error_response
from trickleweb.responses.planned import planned


class IncompleteResponse(WebError):
    """The body broke off: a client sees its transfer end visibly. `content` is what had come."""

    def __init__(self, content: bytes, why: str) -> None:
        super().__init__(f"the body broke off after {len(content)} bytes: {why}")
        self.content = content


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What came of a request: the response as it is on the wire, and as the application made it."""

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
        return Exchanged(plan.status, plan.headers, _inline(plan), Response(plan.status, plan.headers))
    request, made, exception = await _respond(application, head, body, setting)
    try:
        response, content, byte_count = await _gathered(application, head, made, most_bytes)
    except HTTPError as error:  # a file that went away meanwhile
        made = error_response(request, error)
        response, content, byte_count = await _gathered(application, head, made, most_bytes)
    delivery = decide_delivery(head, response.status, byte_count)
    length = () if delivery.content_length is None else (("Content-Length", str(delivery.content_length)),)
    headers = response.headers.added(*length)
    return Exchanged(response.status, headers, content if delivery.has_body else b"", made, exception)


async def _respond(
    application: Application, head: Head, body: bytes | AsyncIterator[bytes], setting: Setting
) -> tuple[Request, Response, Exception | None]:
    request = Request(head, body, setting)
    try:
        terms = application.terms(head)
        request.setting = replace(setting, max_body_bytes=terms.max_body_bytes)
        response = await application.respond(request)
    except HTTPError as error:
        return request, error_response(request, error), None
    except Exception as error:  # noqa: BLE001 - as a server answers it
        return request, error_response(request, HTTPError(500)), error
    exception = request.state.get("exception")
    return request, response, exception if isinstance(exception, Exception) else None


async def _gathered(
    application: Application, head: Head, made: Response, most_bytes: int | None
) -> tuple[Response, bytes, int | None]:
    """The response with the headers of its body, the body, and its length if that is known before the body is."""
    match made.body:
        case Complete(data=data):
            return made, data, len(data)
        case Rendered() as body:
            text = application.render(body)
            return made, text, len(text)
        case FileBody() as body:
            plan = await bodies.file_plan(application, body, head)
            data = b"".join([piece async for piece in bodies.pieces(application, plan)])
            return planned(made, plan), data, plan.body_bytes
        case Streamed(byte_count=byte_count) if head.method == "HEAD":
            return made, b"", byte_count
        case Stepped() if head.method == "HEAD":
            return made, b"", None
        case body:
            return made, *(await _streamed(body, most_bytes))


async def _streamed(body: Stepped | Streamed, most_bytes: int | None) -> tuple[bytes, int | None]:
    """All of a body that is made on the way, or the beginning of it, and the length that it told before."""
    content = bytearray()
    try:
        async with aclosing(bodies.made(body)) as chunks:
            async for data in chunks:
                content += data
                if most_bytes is not None and len(content) >= most_bytes:
                    return bytes(content[:most_bytes]), None
    except Exception as exc:
        raise IncompleteResponse(bytes(content), repr(exc)) from exc
    told = body.byte_count if isinstance(body, Streamed) else None
    if told is not None and told != len(content):
        raise IncompleteResponse(bytes(content), f"it said that it has {told}")
    return bytes(content), told


def _inline(plan: Plan) -> bytes:
    return b"".join([piece.data for piece in plan.pieces if isinstance(piece, Inline)])
