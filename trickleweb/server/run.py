"""Answer one request: the only path from a request to a response that can be sent.

Replicas, `as_asgi` and the test client all use it, so that they agree on every response, and on every refusal after the
framing: this and the bytes of heads are other servers' matter. The steps of a request, in order:

1. The application's terms, and 413 for a body announced too long: the application does not see a request that is
   refused here. A replica does this while it reads the request (`input`); for other servers `direct` does.
2. `Responder.run`: the application is called once. An exception of any type (see `containment`) is a 500, and
   reported; so is a value that is no response.
3. `Responder.resolve`: check that the response can be sent and resumed by any replica:
   - Safe methods: a fixed response fits its token with its plan, or else its request can be run again; so can that of
     a stream, as which a very long one is sent. Steps have a cursor and a head that fit the first token.
   - Unsafe methods run once, and the response is kept: in a row of the ledger if it is complete and fits
     (`ServerLimits.kept_bytes`), else in the response store, as it is made. Steps are kept as their first token.
   - A response that breaks these rules is replaced by a 500, and reported with the fix.

Later faults of a stream or a step (its length, its size, an exception) end the transfer with an error: see
`bodies.iteration`, which iterates all bodies, so that these are the same everywhere, too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import NamedTuple
from weakref import WeakValueDictionary

from trickles.service import Buffer
from trickleweb.application import Application
from trickleweb.bodies import MAX_CHECKPOINT_BYTES, Checkpoint, Complete, Planned, Stepped, Streamed
from trickleweb.bodies.iteration import abandon, framed, planned_bytes
from trickleweb.bodies.kinds import Resolved
from trickleweb.containment import Contained
from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.http1 import BodyDelivery, decide_delivery, render_head, unavailable
from trickleweb.ledger import LedgerUnavailable, LedgerUnwritable, request_key
from trickleweb.limits import SAFE_METHODS
from trickleweb.messages import Inline, Plan, RequestHead
from trickleweb.plain import StateTooLarge
from trickleweb.request import Request, Setting
from trickleweb.request.departure import ClientDeparture
from trickleweb.responses import Response, error_response
from trickleweb.responses.response import NoResponse
from trickleweb.server.buffer import BodyBuffer
from trickleweb.server.context import FleetResources
from trickleweb.server.fixed import PlannedResponse, Sendable
from trickleweb.server.input import Body, CompleteRequest
from trickleweb.server.limits import DEFAULT_SERVER_LIMITS, ServerLimits
from trickleweb.server.tokens import MAX_TOKEN_BYTES, AskedToken, digest_of, encode
from trickleweb.server.tokens.plan import PlanTooLarge, encode_plan
from trickleweb.server.tokens.positions import MAX_POSITION_BYTES
from trickleweb.server.tokens.ranges import Cursor, Replay, VerifiedRange, framing_of
from trickleweb.server.tokens.request import SEED_BYTES, ReplayContext

Pack = Callable[[int], Awaitable[Replay]]  # makes the part of a token from which a request is run again, with room
UNKEPT = "The response is too large to be stored."
_KEY_CHARS = 32
_OK = 200
_FIXED = Complete | Planned  # bodies whose bytes are known
_MADE = Stepped | Streamed  # bodies that are made while they are sent
_UNSENDABLE = "The response cannot be sent."
_CONTAINED = Contained("the application")


class ResolvedResponse(NamedTuple):
    """A response that can be sent and resumed.

    `body` is b"" where the delivery has none. A fixed response has its bytes in `sendable`, steps have `first_token`,
    a stream has `replay`; one to be stored has none of these, and the bound `most_bytes`. `made` is the application's.
    """

    status: int
    headers: Headers
    body: Resolved
    delivery: BodyDelivery
    made: Response
    sendable: Sendable | None = None
    first_token: bytes = b""
    replay: Replay | None = None
    most_bytes: int | None = None

    def head(self, date_s: int) -> bytes:
        """Return the head; raise `StateTooLarge` for one too long for any client, or as `render_head`."""
        head = render_head(self.status, self.headers, self.delivery, date_seconds=date_s)
        framing_of(self.delivery, date_s, head)
        return head

    async def content(
        self, read: Callable[[str, int, int], Buffer], *, chunked: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the body's bytes as they are made, without framing or, if `chunked`, as on the wire.

        Raise the body's errors.
        """
        match self.body:
            case Complete(data):
                if data:
                    yield data
            case Planned() as body:
                for block in planned_bytes(body, read):
                    yield block
            case body:
                delivery = self.delivery._replace(chunked=chunked and self.delivery.chunked)
                async with aclosing(framed(body, delivery, most_bytes=self.most_bytes)) as parts:
                    async for part in parts:
                        yield part.data


class Exchange(NamedTuple):
    """An accepted request, and the terms of its response: `close` ends the connection after it."""

    head: RequestHead  # as received: the application may see another one
    request: Request
    close: bool
    date_s: int
    pack: Pack

    @property
    def is_safe(self) -> bool:
        """True if the request may be run again."""
        return self.head.method in SAFE_METHODS


class FirstRun:
    """The context of the first run of a request; its seed is drawn when something depends on it, which is rare."""

    __slots__ = ("_draw", "_made", "now", "offset")

    def __init__(self, now: int, offset: int, draw: Callable[[int], bytes]) -> None:
        self.now = now
        self.offset = offset
        self._draw = draw
        self._made: ReplayContext | None = None

    def fixed(self) -> ReplayContext:
        """Return the context for later runs."""
        if self._made is None:
            self._made = ReplayContext(self.now, self.offset, self._draw(SEED_BYTES))
        return self._made

    def entropy(self) -> bytes:
        return self.fixed().entropy()


class RequestFactory:
    """Makes requests with the keyring and ledger of the fleet, and knows the connections of those at work."""

    def __init__(self, resources: FleetResources) -> None:
        self._resources = resources
        self._departures: WeakValueDictionary[bytes, ClientDeparture] = WeakValueDictionary()

    def request(
        self,
        complete: CompleteRequest,
        body: Body,
        context: FirstRun | ReplayContext,
        *,
        connection: bytes,
        peer: str,
        whole: bool = True,
    ) -> Request:
        """Return the request of a connection, handled in that context."""
        setting = Setting(
            now=context.now,
            seed=context.entropy,
            peer=peer,
            idempotency_key=request_key(connection, context.offset).hex()[:_KEY_CHARS],
            max_body_bytes=complete.terms.max_body_bytes,
            keyring=self._resources.ring,
            ledger=self._resources.ledger,
            whole=whole,
            departure=None if complete.head.method in SAFE_METHODS else self._departure(connection),
        )
        return Request(complete.head, body, setting)

    def _departure(self, connection: bytes) -> ClientDeparture:
        """Return the departure of a client; those of safe requests are cancelled by it."""
        departure = self._departures.get(connection)
        if departure is None:
            departure = self._departures[connection] = ClientDeparture()
        return departure

    def left(self, connection: bytes) -> None:
        """Note that a client has left; a later request of its connection has another departure."""
        departure = self._departures.pop(connection, None)
        if departure is not None:
            departure.leave()


class Responder:
    """Calls an application; without state of its own. `on_error` gets its faults."""

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
        """Return the response to an accepted request; raise `LedgerUnavailable` if its request cannot be stored."""
        return await self.resolve(exchange, await self.run(exchange.request))

    async def run(self, request: Request) -> Response:
        """Return the application's response; 500 for an exception."""
        try:
            with _CONTAINED:
                response: object = await self.application.respond(request)
            if isinstance(response, Response) and isinstance(response.body, Resolved):
                return response
            what = type(response.body if isinstance(response, Response) else response).__name__
            self.on_error(NoResponse(f"the application answered with {what}"))
        except HTTPError as error:
            return error_response(request, error)
        except Exception as error:  # noqa: BLE001 - every failure gets a response
            self.on_error(error)
        return error_response(request, HTTPError(500))

    async def resolve(self, exchange: Exchange, response: Response) -> ResolvedResponse:
        """Return the response if it can be sent, else report it and return 500."""
        try:
            return await self._resolved(exchange, response)
        except LedgerUnwritable as raised:  # of a safe request: others need no ledger
            self.on_error(raised)
            await abandon(response.body)
            error = unavailable("The request cannot be stored now.")
        except LedgerUnavailable:
            raise
        except Exception as raised:  # noqa: BLE001 - the request was run, and is not run again for a bad response
            self.on_error(raised)
            await abandon(response.body)
            large = isinstance(raised, PlanTooLarge | StateTooLarge)
            error = HTTPError(500, _UNSENDABLE if exchange.is_safe else UNKEPT if large else "")
        return refused(error, exchange.head, close=exchange.close, date_s=exchange.date_s)

    async def _resolved(self, exchange: Exchange, response: Response) -> ResolvedResponse:
        body, head, close = response.body, exchange.head, exchange.close or response.close
        if isinstance(body, Complete) and len(body.data) > self.limits.kept_bytes:
            body = Streamed((body.data,), len(body.data))  # nothing is computed of all of it before its first byte
        if isinstance(body, _MADE):
            length = body.byte_count if isinstance(body, Streamed) else None
            delivery = decide_delivery(head, response.status, length, close=close)
            if delivery.has_body:
                return await self._streaming(exchange, response, body, delivery)
            await abandon(body)
            plan = Plan(response.status, response.headers)
        else:
            plan = plan_of(response)
            length = len(body.data) if isinstance(body, Complete) else plan.body_bytes
            delivery = decide_delivery(head, plan.status, length, close=close)
        kept = body if delivery.has_body and isinstance(body, _FIXED) else Complete()
        most_bytes = MAX_TOKEN_BYTES if exchange.is_safe else self.limits.kept_bytes
        value = PlannedResponse.of(plan, delivery, exchange.date_s)
        try:
            sendable = value.sendable(most_bytes, deflate=False)
        except PlanTooLarge:
            if exchange.is_safe:
                sendable = await self._asked(exchange, value)
            elif delivery.has_body:
                made = ResolvedResponse(response.status, response.headers, kept, delivery, response)
                return self._stored(exchange, made)
            else:
                raise
        return ResolvedResponse(response.status, response.headers, kept, delivery, response, sendable)

    async def _streaming(
        self, exchange: Exchange, response: Response, body: Stepped | Streamed, delivery: BodyDelivery
    ) -> ResolvedResponse:
        made = ResolvedResponse(response.status, response.headers, body, delivery, response)
        if isinstance(body, Streamed):
            if not exchange.is_safe:
                return self._stored(exchange, made)
            made.head(exchange.date_s)
            room = MAX_POSITION_BYTES if is_event_stream(made) else 0
            return made._replace(replay=await exchange.pack(room))
        token = first_token(Plan(response.status, response.headers), body, delivery, exchange.date_s)
        known = self.application.steps.unpack(Checkpoint(body).pack(MAX_CHECKPOINT_BYTES))
        return made._replace(body=known.body, first_token=token)

    def _stored(self, exchange: Exchange, made: ResolvedResponse) -> ResolvedResponse:
        """Return the response for the response store; raise `StateTooLarge` if it is longer than one may be."""
        most, length = self.limits.response_bytes, made.delivery.content_length
        if length is not None and length > most:
            raise StateTooLarge(f"a response of {length} bytes to an unsafe request, over {most}")
        made.head(exchange.date_s)
        return made._replace(most_bytes=most)

    async def _asked(self, exchange: Exchange, value: PlannedResponse) -> Sendable:
        """Return a response whose plan does not fit its token, with its request there."""
        replay, response = await exchange.pack(0), value.rendered()
        delivered = value.delivered(response.head or b"")
        token = encode(AskedToken(delivered, digest_of(value.plan), replay.request, replay.context))
        return Sendable(response, token, value.plan.status)


def is_event_stream(made: ResolvedResponse) -> bool:
    """Return whether a streamed response is compared by its events: one of plain text."""
    kind = (made.headers.get("content-type") or "").partition(";")[0].strip().lower()
    plain = made.headers.get("content-encoding") is None and made.delivery.content_length is None
    return kind == "text/event-stream" and made.status == _OK and plain


def plan_of(response: Response) -> Plan:
    """Return the plan of a fixed response."""
    if isinstance(response.body, Planned):
        return Plan(response.status, response.headers, response.body.pieces)
    data = response.body.data if isinstance(response.body, Complete) else b""
    return Plan(response.status, response.headers, (Inline(data),) if data else ())


def first_token(plan: Plan, body: Stepped, delivery: BodyDelivery, date_s: int) -> bytes:
    """Return the token of steps that covers the head only; raise `StateTooLarge` or `PlanTooLarge`."""
    head = render_head(plan.status, plan.headers, delivery, date_seconds=date_s)
    framing = framing_of(delivery, date_s, head)
    packed = encode_plan(plan, MAX_TOKEN_BYTES, deflate=False)
    source = Cursor(packed, Checkpoint(body).pack(MAX_CHECKPOINT_BYTES))
    return encode(VerifiedRange(framing, 0, BodyBuffer().digest(0, 0), source, first=True))


def refused(error: HTTPError, head: RequestHead, *, close: bool, date_s: int) -> ResolvedResponse:
    """Return the response to a request that the application does not see, or whose response cannot be sent."""
    try:
        return _refused(error, head, close=close, date_s=date_s)
    except (PlanTooLarge, ValueError):  # its fields are too long, or invalid
        return _refused(HTTPError(error.status, close=error.close), head, close=close, date_s=date_s)


def _refused(error: HTTPError, head: RequestHead, *, close: bool, date_s: int) -> ResolvedResponse:
    made = error_response(Request(head), error)
    plan = plan_of(made)
    delivery = decide_delivery(head, plan.status, plan.body_bytes, close=close or error.close)
    sendable = PlannedResponse.of(plan, delivery, date_s).sendable()
    body = made.body if delivery.has_body and isinstance(made.body, Complete) else Complete()
    return ResolvedResponse(made.status, made.headers, body, delivery, made, sendable)
