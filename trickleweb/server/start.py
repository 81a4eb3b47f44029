"""Start responses: from a complete request to the first bytes out; the application runs once if the method is
unsafe.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import NamedTuple

from trickleweb.bodies import Streamed
from trickleweb.http1 import render_head
from trickleweb.ledger import request_key
from trickleweb.messages import Plan
from trickleweb.response_store import Pages
from trickleweb.server.errors import NotThisResponse
from trickleweb.server.event_parts import event_parts
from trickleweb.server.fixed import Sendable, resumed
from trickleweb.server.input import CompleteRequest
from trickleweb.server.limits import StreamLimits
from trickleweb.server.live import pump_of
from trickleweb.server.producer import PartsPump, Producer
from trickleweb.server.resume import from_cursor
from trickleweb.server.run import Exchange, FirstRun, RequestFactory, ResolvedResponse, Responder, is_event_stream
from trickleweb.server.shelf import Shelf
from trickleweb.server.stored import StoredResponse
from trickleweb.server.stream import Origins, StreamedResponse
from trickleweb.server.tokens import MAX_TOKEN_BYTES, KeptToken, PlannedToken, decode_untrusted, encode
from trickleweb.server.tokens.plan import PlanTooLarge, encode_plan
from trickleweb.server.tokens.planned import asks_again
from trickleweb.server.tokens.positions import EventPosition
from trickleweb.server.tokens.ranges import Cursor, Replay, VerifiedRange, framing_of, kind_check
from trickleweb.server.tokens.request import check_length, packed, page_key, stored
from trickleweb.server.tokens.stored import StoredToken
from trickleweb.server.unsafe import AtMostOnce, UnsafeRequests
from trickleweb.server.window import Where

_ERRORS, _PASSING = 400, (503,)  # the next part may do better

MAX_PAGE_BYTES = 1 << 18  # of a page to keep; longer ones are made again


class StartedResponse(NamedTuple):
    """A response ready to send; its request is the first `size_bytes` of the window."""

    what: Sendable | StreamedResponse | StoredResponse
    status: int
    size_bytes: int

    @property
    def last(self) -> bool:
        """True if the connection ends after it."""
        match self.what:
            case Sendable(response):
                return response.last
            case StreamedResponse():
                return self.what.framing.last
            case StoredResponse():
                return self.what.token.last


class ResponseStarter:
    """Starts responses; without state of its own."""

    def __init__(
        self,
        responder: Responder,
        requests: RequestFactory,
        once: AtMostOnce,
        unsafe: UnsafeRequests,
        shelf: Shelf,
        pages: Pages,
        stream_limits: StreamLimits,
    ) -> None:
        self._responder = responder
        self._requests = requests
        self._once = once
        self._unsafe = unsafe
        self._shelf = shelf
        self._pages = pages
        self._stream_limits = stream_limits

    async def start(self, complete: CompleteRequest, where: Where, peer: str, context: FirstRun) -> StartedResponse:
        """Run the application, or find the result of an earlier run.

        Raise `InputLost`, `LedgerUnavailable` or OSError before anything has begun.
        """
        exchange = self._exchange(complete, where, peer, context)
        if exchange.is_safe:
            resolved = await self._responder.respond(exchange)
            self._keep_page(resolved, context)
            return self._started(resolved, exchange, complete.size_bytes)
        key = request_key(where[0], context.offset)
        token = await self._unsafe.token(exchange, key, repeatable=complete.terms.repeatable)
        return await self._kept(key, token, complete.size_bytes)

    async def part(self, part: CompleteRequest, where: Where, peer: str, context: FirstRun) -> StartedResponse | None:
        """Run the application on the part of a request that has arrived; return its response if that is an error."""
        exchange = self._exchange(part, where, peer, context, whole=False)
        resolved = await self._responder.respond(exchange)
        made = resolved.sendable
        if (
            resolved.status in _PASSING
            or resolved.status < _ERRORS
            or made is None
            or len(made.token) > MAX_TOKEN_BYTES
        ):
            return None
        return StartedResponse(made, resolved.status, part.size_bytes)

    def _exchange(
        self, complete: CompleteRequest, where: Where, peer: str, context: FirstRun, *, whole: bool = True
    ) -> Exchange:
        body, close = complete.body(), complete.closes or not whole
        request = self._requests.request(complete, body, context, connection=where[0], peer=peer, whole=whole)
        return Exchange(complete.head, request, close, context.now // 1_000_000, partial(self._pack, complete, context))

    async def lost(self, where: Where, *, date_s: int) -> StartedResponse:
        """Return the refusal of a request whose input was lost, and prevent later runs of it; raise
        `LedgerUnavailable`.
        """
        made = await self._unsafe.lose(where, date_s=date_s)
        return StartedResponse(made, made.status, 0)

    async def _pack(self, complete: CompleteRequest, context: FirstRun, room: int) -> Replay:
        """Return the request for a token with `room` for other bytes; a long one is stored in the ledger, or raises
        `RequestTooLong`.
        """
        check_length(complete.size_bytes, self._responder.limits)
        raw = complete.raw
        request = packed(raw, self._responder.limits.packed_bytes - room)
        if request is None:
            key, request = stored(raw, self._responder.limits)
            await self._once.complete(key, raw)
        return Replay(context.fixed(), request)

    def _keep_page(self, resolved: ResolvedResponse, context: FirstRun) -> None:
        """Keep a page that does not fit its token: a second run might make another one."""
        made = resolved.sendable
        if made is None or not asks_again(made.token) or made.response.inline_bytes > MAX_PAGE_BYTES:
            return
        plan = Plan(made.status, resolved.headers, made.response.pieces)
        with suppress(PlanTooLarge):
            self._pages.put(page_key(context.fixed()), encode_plan(plan, 2 * MAX_PAGE_BYTES, deflate=False))

    def _started(self, resolved: ResolvedResponse, exchange: Exchange, size_bytes: int) -> StartedResponse:
        status = resolved.status
        if resolved.sendable is not None:
            return StartedResponse(resolved.sendable, status, size_bytes)
        if resolved.first_token:
            return self._from_cursor(resolved.first_token, size_bytes)
        body, delivery = resolved.body, resolved.delivery
        assert isinstance(body, Streamed)
        head = render_head(status, resolved.headers, delivery, date_seconds=exchange.date_s)
        framing = framing_of(delivery, exchange.date_s, head, kind_check(status, resolved.headers, delivery))
        origins, pump, cursor = Origins(resolved.replay, None, {}, b""), pump_of(body, delivery), None
        if is_event_stream(resolved):
            origins, cursor = origins._replace(replay=None, events=resolved.replay), EventPosition()
            pump = PartsPump(event_parts(body, delivery))
        producer = Producer(pump, 0, cursor, self._stream_limits)
        stream = StreamedResponse(producer, origins, framing, head, self._stream_limits)
        return StartedResponse(stream, status, size_bytes)

    def _from_cursor(self, token: bytes, size_bytes: int) -> StartedResponse:
        covered = decode_untrusted(token)
        if not isinstance(covered, VerifiedRange) or not isinstance(covered.source, Cursor):
            raise NotThisResponse("no steps resume from that token")
        stream, status = from_cursor(self._responder.application.steps, covered, self._stream_limits)
        return StartedResponse(stream, status, size_bytes)

    async def _kept(self, key: bytes, token: bytes, size_bytes: int) -> StartedResponse:
        """Return the response in the ledger; raise `NotThisResponse` if a replica of another release stored it."""
        found = decode_untrusted(token)
        if isinstance(found, StoredToken):
            return StartedResponse(await self._shelf.opened(found), found.status, size_bytes)
        if not isinstance(found, PlannedToken):
            return self._from_cursor(token, size_bytes)
        response = resumed(found.delivered, found.plan)
        known = token if len(token) <= MAX_TOKEN_BYTES else encode(KeptToken(key))
        return StartedResponse(Sendable(response, known, found.plan.status), found.plan.status, size_bytes)
