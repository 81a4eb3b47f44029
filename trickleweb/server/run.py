"""Answer one request: the one way from a request to a response that can be sent.

Replicas, `as_asgi` and the test client all come through here, so that they agree on every response and every refusal.
What happens to a request, in order:

1. `accepted`: the application's terms, and 413 for a body that is announced too long. Refused here, the application
   does not see the request. (A replica does this while it reads the request: see `input`.)
2. `Responder.run`: the application is called once. What it raises is a 500, and reported; so is what is no response.
3. `Responder.resolve`: whether that response can be sent, so that any replica can go on with it, or answer again:

   - Safe methods: a fixed response fits its token with its plan, or else its request can be run again; so it is with
     a stream. Steps have a cursor and a head that fit the first token.
   - Unsafe methods run once, and what came of it is kept in the ledger. So a stream is collected first, and the
     response has to fit a row of the ledger: `ServerLimits.kept_bytes`. Steps are kept by their first token.
   - What breaks these rules is a 500 in its place, and reported with the way out.

What is wrong with a stream or a step later on (its length, its size, an exception) ends the transfer visibly: see
`bodies.iteration`. That is the same everywhere, too, as all iterate bodies there.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import NamedTuple

from trickles.service import Buffer
from trickleweb.application import Application, Terms
from trickleweb.bodies import MAX_CHECKPOINT_BYTES, Checkpoint, Complete, Planned, Stepped, Streamed
from trickleweb.bodies.iteration import BrokenOff, abandon, collected, framed, planned_bytes, was_cancelled
from trickleweb.bodies.kinds import Resolved
from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.http1 import BodyDelivery, check_announced, decide_delivery, render_head, too_large
from trickleweb.ledger import LedgerUnavailable
from trickleweb.messages import Chunked, Inline, Length, Plan, RequestHead
from trickleweb.plain import StateTooLarge
from trickleweb.request import Request, Setting
from trickleweb.responses import Response, error_response
from trickleweb.responses.response import NoResponse
from trickleweb.server.buffer import BodyBuffer
from trickleweb.server.fixed import PlannedResponse, Sendable
from trickleweb.server.input import Body
from trickleweb.server.limits import DEFAULT_SERVER_LIMITS, SAFE_METHODS, ServerLimits
from trickleweb.server.tokens import MAX_TOKEN_BYTES, AskedToken, digest_of, encode
from trickleweb.server.tokens.plan import PlanTooLarge, encode_plan
from trickleweb.server.tokens.ranges import Cursor, Replay, VerifiedRange, framing_of
from trickleweb.server.tokens.request import SEED_BYTES, ReplayContext, check_length

Pack = Callable[[], Awaitable[Replay]]  # makes what a token holds of a request that is to be run again
UNKEPT = "The response is too large to be kept."
_UNSENDABLE = "The response cannot be sent as it is."
_BLOCK_BYTES = 1 << 18
_IN_MEMORY_BYTES = 1 << 20  # of a body of unknown length; more of it is spooled to the disk


class ResolvedResponse(NamedTuple):
    """A response that can be sent, and what it is gone on with.

    `body` is b"" where the delivery has none. A fixed response has its bytes in `sendable`, steps have `first_token`,
    and a stream has `replay`. `made` is what the application returned.
    """

    status: int
    headers: Headers
    body: Resolved
    delivery: BodyDelivery
    made: Response
    sendable: Sendable | None = None
    first_token: bytes = b""
    replay: Replay | None = None

    async def content(self, read: Callable[[str, int, int], Buffer]) -> AsyncGenerator[bytes, None]:
        """The body's bytes without their framing, as they are made; raises what is wrong with it."""
        match self.body:
            case Complete(data):
                if data:
                    yield data
            case Planned() as body:
                for block in planned_bytes(body, read):
                    yield block
            case body:
                async with aclosing(framed(body, replace(self.delivery, chunked=False))) as parts:
                    async for part in parts:
                        yield part.data


class Exchange(NamedTuple):
    """A request that was accepted, and how it is answered: `close` ends the connection after the response."""

    head: RequestHead  # as it came: the application may see another one
    request: Request
    close: bool
    date_s: int
    pack: Pack

    @property
    def is_safe(self) -> bool:
        """True if the request may be run again."""
        return self.head.method in SAFE_METHODS


def accepted(application: Application, head: RequestHead) -> Terms:
    """The terms of a request; `HTTPError` for one that is refused by its head, 413 among them."""
    terms = application.terms(head)
    check_announced(head, terms.max_body_bytes)
    return terms


class Responder:
    """Calls an application; `on_error` gets what it should not have raised, or made. Keeps nothing."""

    def __init__(
        self,
        application: Application,
        on_error: Callable[[Exception], None],
        limits: ServerLimits = DEFAULT_SERVER_LIMITS,
    ) -> None:
        self.application = application
        self.on_error = on_error
        self.limits = limits

    async def respond(self, exchange: Exchange) -> ResolvedResponse:
        """The response to an accepted request. `LedgerUnavailable` if its request cannot be stored now."""
        return await self.resolve(exchange, await self.run(exchange.request))

    async def run(self, request: Request) -> Response:
        """The application's response; 500 for what it raises."""
        try:
            response: object = await self.application.respond(request)
            if isinstance(response, Response) and isinstance(response.body, Resolved):
                return response
            what = type(response.body if isinstance(response, Response) else response).__name__
            self.on_error(NoResponse(f"the application answered with {what}"))
        except HTTPError as error:
            return error_response(request, error)
        except Exception as error:  # noqa: BLE001 - a response of its own, whatever happened
            self.on_error(error)
        except (asyncio.CancelledError, SystemExit) as error:
            if was_cancelled():
                raise
            self.on_error(BrokenOff(f"the program ended a request with {error!r}"))
        return error_response(request, HTTPError(500))

    async def resolve(self, exchange: Exchange, response: Response) -> ResolvedResponse:
        """The response if it can be sent, else the 500 in its place, reported."""
        try:
            return await self._resolved(exchange, response)
        except LedgerUnavailable:
            raise
        except HTTPError as raised:  # by a stream that was collected
            error = raised
        except Exception as raised:  # noqa: BLE001 - it was run: whatever is wrong with the response, it is not run again
            self.on_error(raised)
            await abandon(response.body)
            large = isinstance(raised, PlanTooLarge | StateTooLarge)
            error = HTTPError(500, _UNSENDABLE if exchange.is_safe else UNKEPT if large else "")
        return refused(error, exchange.head, close=exchange.close, date_s=exchange.date_s)

    async def _resolved(self, exchange: Exchange, response: Response) -> ResolvedResponse:
        if isinstance(response.body, Streamed) and not exchange.is_safe:
            response = replace(response, body=await collected(response.body, self.limits.kept_bytes))
        body, head, close = response.body, exchange.head, exchange.close or response.close
        if isinstance(body, Stepped | Streamed):
            length = body.byte_count if isinstance(body, Streamed) else None
            delivery = decide_delivery(head, response.status, length, close=close)
            if delivery.has_body:
                return await self._made_on_the_way(exchange, response, body, delivery)
            await abandon(body)
            plan = Plan(response.status, response.headers)
        else:
            plan = plan_of(response)
            delivery = decide_delivery(head, plan.status, plan.body_bytes, close=close)
        sendable = await self._sendable(exchange, PlannedResponse.of(plan, delivery, exchange.date_s))
        kept = body if delivery.has_body and isinstance(body, Complete | Planned) else Complete()
        return ResolvedResponse(response.status, response.headers, kept, delivery, response, sendable)

    async def _made_on_the_way(
        self, exchange: Exchange, response: Response, body: Stepped | Streamed, delivery: BodyDelivery
    ) -> ResolvedResponse:
        made = ResolvedResponse(response.status, response.headers, body, delivery, response)
        if isinstance(body, Streamed):
            head = render_head(response.status, response.headers, delivery, date_seconds=exchange.date_s)
            framing_of(delivery, exchange.date_s, head)  # raises for a head that is too long
            return made._replace(replay=await exchange.pack())
        token = first_token(Plan(response.status, response.headers), body, delivery, exchange.date_s)
        known = self.application.steps.unpack(Checkpoint(body).pack(MAX_CHECKPOINT_BYTES))
        return made._replace(body=known.body, first_token=token)

    async def _sendable(self, exchange: Exchange, value: PlannedResponse) -> Sendable:
        try:
            most_bytes = MAX_TOKEN_BYTES if exchange.is_safe else self.limits.kept_bytes
            made = value.sendable(most_bytes, deflate=False)
        except PlanTooLarge:
            if not exchange.is_safe:
                raise
            replay, response = await exchange.pack(), value.rendered()
            delivered = value.delivered(response.head or b"")
            token = encode(AskedToken(delivered, digest_of(value.plan), replay.request, replay.context))
            made = Sendable(response, token, value.plan.status)
        if made.response.inline_bytes == made.response.body_bytes:  # one buffer is sent with less ado than two
            return made._replace(response=made.response.gathered(self.application.read))
        return made


def plan_of(response: Response) -> Plan:
    """The plan of a fixed response."""
    if isinstance(response.body, Planned):
        return Plan(response.status, response.headers, response.body.pieces)
    data = response.body.data if isinstance(response.body, Complete) else b""
    return Plan(response.status, response.headers, (Inline(data),) if data else ())


def first_token(plan: Plan, body: Stepped, delivery: BodyDelivery, date_s: int) -> bytes:
    """The token of steps that covers the head only; `StateTooLarge` or `PlanTooLarge` for what could not travel."""
    head = render_head(plan.status, plan.headers, delivery, date_seconds=date_s)
    framing = framing_of(delivery, date_s, head)
    packed = encode_plan(plan, MAX_TOKEN_BYTES, deflate=False)
    source = Cursor(packed, Checkpoint(body).pack(MAX_CHECKPOINT_BYTES))
    return encode(VerifiedRange(framing, 0, BodyBuffer().digest(0, 0), source, first=True))


def refused(error: HTTPError, head: RequestHead, *, close: bool, date_s: int) -> ResolvedResponse:
    """The response to a request that the application does not see, or whose response cannot be sent."""
    try:
        return _refused(error, head, close=close, date_s=date_s)
    except (PlanTooLarge, ValueError):  # its fields are too long, or cannot be sent
        return _refused(HTTPError(error.status, close=error.close), head, close=close, date_s=date_s)


def _refused(error: HTTPError, head: RequestHead, *, close: bool, date_s: int) -> ResolvedResponse:
    made = error_response(Request(head), error)
    plan = plan_of(made)
    delivery = decide_delivery(head, plan.status, plan.body_bytes, close=close or error.close)
    sendable = PlannedResponse.of(plan, delivery, date_s).sendable()
    body = made.body if delivery.has_body and isinstance(made.body, Complete) else Complete()
    return ResolvedResponse(made.status, made.headers, body, delivery, made, sendable)


async def answered(responder: Responder, head: RequestHead, body: Body, context: Setting) -> ResolvedResponse:
    """The whole way of a request, where no other replica will go on with it: under other servers, and in tests.

    A body in chunks is taken whole before the application is called, as replicas do it: it may be too long.
    """
    date_s = context.now // 1_000_000
    try:
        terms = accepted(responder.application, head)
        body = await _whole(body, terms.max_body_bytes) if isinstance(head.framing, Chunked) else body
    except HTTPError as error:
        return refused(error, head, close=False, date_s=date_s)
    except Exception as error:  # noqa: BLE001 - a response of its own, whatever happened
        responder.on_error(error)
        return refused(HTTPError(500), head, close=False, date_s=date_s)
    size = len(body) if isinstance(body, bytes) else head.framing.byte_count if isinstance(head.framing, Length) else 0

    async def pack() -> Replay:
        check_length(head.head_bytes + size, responder.limits)
        return Replay(ReplayContext(0, 0, bytes(SEED_BYTES)), b"")

    request = Request(head, body, replace(context, max_body_bytes=terms.max_body_bytes))
    return await responder.respond(Exchange(head, request, close=False, date_s=date_s, pack=pack))


async def _whole(body: Body, most_bytes: int) -> Body:
    """The body when all of it is there, from memory or from the disk; 413 for more than `most_bytes`."""
    if isinstance(body, bytes):
        if len(body) > most_bytes:
            raise too_large(most_bytes)
        return body
    spool = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - it is closed with the body that is made of it
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
