"""Answer a request where no replica resumes it: under other servers, and in tests."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile

from trickleweb.application import Application, Terms
from trickleweb.bodies import Complete
from trickleweb.containment import Contained
from trickleweb.errors import HTTPError
from trickleweb.http1 import BodyDelivery, check_announced, error_plan, too_large
from trickleweb.messages import Chunked, Inline, Length, RequestHead
from trickleweb.request import Request, Setting
from trickleweb.responses import Response
from trickleweb.server.input import Body
from trickleweb.server.run import Exchange, ResolvedResponse, Responder, refused
from trickleweb.server.tokens.ranges import Replay
from trickleweb.server.tokens.request import SEED_BYTES, ReplayContext, check_length

_BLOCK_BYTES = 1 << 18
_IN_MEMORY_BYTES = 1 << 20  # of a body of unknown length; the rest goes to disk
_CONTAINED = Contained("the application")


def accepted(application: Application, head: RequestHead) -> Terms:
    """Return the terms of a request; raise `HTTPError` for one that its head refuses, 413 included."""
    with _CONTAINED:
        terms = application.terms(head)
    check_announced(head, terms.max_body_bytes)
    return terms


def unread(error: HTTPError, *, has_body: bool) -> ResolvedResponse:
    """Return the response to a request whose head is refused; on a replica `last_response` makes it."""
    plan = error_plan(error)
    body = Complete(b"".join([piece.data for piece in plan.pieces if isinstance(piece, Inline)]))
    delivery = BodyDelivery(plan.body_bytes, chunked=False, has_body=has_body, keep_alive=False)
    made = Response(plan.status, plan.headers, body, close=True)
    return ResolvedResponse(made.status, made.headers, body if has_body else Complete(), delivery, made)


async def answered(responder: Responder, head: RequestHead, body: Body, context: Setting) -> ResolvedResponse:
    """Return the response to a request, accepted or refused.

    A body in chunks is read whole before the application is called, as on replicas: it may be too long.
    """
    date_s = context.now // 1_000_000
    try:
        terms = accepted(responder.application, head)
        body = await _whole(body, terms.max_body_bytes) if isinstance(head.framing, Chunked) else body
    except HTTPError as error:
        return refused(error, head, close=False, date_s=date_s)
    except Exception as error:  # noqa: BLE001 - every failure gets a response
        responder.on_error(error)
        return refused(HTTPError(500), head, close=False, date_s=date_s)
    size = len(body) if isinstance(body, bytes) else head.framing.byte_count if isinstance(head.framing, Length) else 0

    async def pack(_room: int) -> Replay:
        check_length(head.head_bytes + size, responder.limits)
        return Replay(ReplayContext(0, 0, bytes(SEED_BYTES)), b"")

    request = Request(head, body, context._replace(max_body_bytes=terms.max_body_bytes))
    return await responder.respond(Exchange(head, request, close=False, date_s=date_s, pack=pack))


async def _whole(body: Body, most_bytes: int) -> Body:
    """Return the complete body, from memory or disk; raise 413 for more than `most_bytes`."""
    if isinstance(body, bytes):
        if len(body) > most_bytes:
            raise too_large(most_bytes)
        return body
    spool = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - closed with the body made of it
    size = 0
    try:
        async for piece in body:
            size += len(piece)
            if size > most_bytes:
                raise too_large(most_bytes)
            spool.write(piece)
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    whole = _read(spool)
    weakref.finalize(whole, spool.close)  # it may be read while the response is sent, or never
    return whole


async def _read(spool: SpooledTemporaryFile[bytes]) -> AsyncIterator[bytes]:
    while data := spool.read(_BLOCK_BYTES):
        yield data
