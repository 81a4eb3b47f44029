"""Resume responses that another replica started, or this one has forgotten, from their tokens."""

from __future__ import annotations

from dataclasses import replace

from trickleweb.application import Terms
from trickleweb.bodies import Complete, StateRefused, Stepped, StepsTable, Streamed
from trickleweb.bodies.iteration import abandon, collected
from trickleweb.bodies.steps import LiveSteps
from trickleweb.containment import Contained
from trickleweb.errors import HTTPError
from trickleweb.http1 import parse_head_untrusted, render_head
from trickleweb.messages import NeedMore, Plan
from trickleweb.response_store import Pages
from trickleweb.responses import Response
from trickleweb.server.errors import BadToken, NotThisResponse
from trickleweb.server.event_parts import resumed_parts
from trickleweb.server.fixed import FixedResponse, resumed
from trickleweb.server.input import CompleteRequest
from trickleweb.server.limits import ServiceLimits, StreamLimits
from trickleweb.server.live import pump_of, reader_at_end
from trickleweb.server.producer import PartsPump, Producer
from trickleweb.server.run import RequestFactory, Responder, plan_of
from trickleweb.server.stream import Origins, StreamedResponse
from trickleweb.server.tokens import AskedToken, KeptToken, PlannedToken, Token, decode_untrusted
from trickleweb.server.tokens.plan import BadPlan, decode_plan
from trickleweb.server.tokens.ranges import Cursor, EventReplay, Replay, VerifiedRange, delivery_of, kind_check
from trickleweb.server.tokens.request import ReplayContext, page_key, stored_key, unpacked
from trickleweb.server.unsafe import AtMostOnce
from trickleweb.server.window import InputWindow

_CHANGED = "the response to the request has changed"
_CONTAINED = Contained("a migration of steps")


class Resumer:
    """Makes responses again; without state of its own. Raises `NotThisResponse` where it cannot make the same one."""

    def __init__(
        self, responder: Responder, requests: RequestFactory, once: AtMostOnce, pages: Pages, limits: ServiceLimits
    ) -> None:
        self._responder = responder
        self._requests = requests
        self._once = once
        self._pages = pages
        self._limits = limits.request
        self._stream_limits = limits.streams

    async def fixed(self, token: Token, connection: bytes, peer: str) -> FixedResponse:
        """Return the fixed response of a token."""
        if isinstance(token, KeptToken):
            token = decode_untrusted(await self._kept(token.key))
        if isinstance(token, PlannedToken):
            return resumed(token.delivered, token.plan)
        if not isinstance(token, AskedToken) or token.context is None:
            raise NotThisResponse("a token of another kind of response")
        plan = self._kept_page(token, token.context)
        if plan is None:
            plan = token.check(await self._plan_again(token, token.context, connection, peer))
        return resumed(token.delivered, plan)

    async def stream(
        self, covered: VerifiedRange, source: Replay | EventReplay, stop: int, connection: bytes, peer: str
    ) -> StreamedResponse:
        """Run a request again; return the response from a range on, whose bytes up to `stop` are to be verified."""
        stream = await self._stream_again(covered, source, connection, peer, stop - covered.at)
        stream.resumed_from = covered
        return stream

    def at_end(self, covered: VerifiedRange, source: Cursor, stop: int) -> LiveSteps | None:
        """Return a reader of an event stream that has nothing after its body byte `stop`; None if that is not known."""
        try:
            with _CONTAINED:
                body = self._responder.application.steps.unpack(source.checkpoint).body
            return reader_at_end(body, stop - covered.at, chunked=covered.framing.chunked)
        except Exception:  # noqa: BLE001 - making the stream raises it again
            return None

    def stepped(self, covered: VerifiedRange) -> StreamedResponse:
        """Return the response from the cursor of a range on, whose bytes are still to be verified."""
        try:
            with _CONTAINED:
                stream = from_cursor(self._responder.application.steps, covered, self._stream_limits)[0]
        except (StateRefused, NotThisResponse):
            raise
        except Exception as error:  # raised by a migration: another release may not need one
            self._responder.on_error(error)
            raise NotThisResponse("the steps cannot resume from that state") from error
        stream.resumed_from = covered
        return stream

    async def _stream_again(
        self, covered: VerifiedRange, source: Replay | EventReplay, connection: bytes, peer: str, byte_count: int
    ) -> StreamedResponse:
        replay, last_id = (source, b"") if isinstance(source, Replay) else (source.replay, source.position.id)
        framing = covered.framing
        response = await self._run(replay.request, replay.context, connection, peer, last_id)
        body = response.body
        if isinstance(body, Complete):  # complete at once this time
            body = Streamed((body.data,), len(body.data))
        if not isinstance(body, Streamed):
            raise NotThisResponse(_CHANGED)
        delivery = delivery_of(framing, None if framing.chunked else body.byte_count)
        if kind_check(response.status, response.headers, delivery) != framing.kind_check:
            await abandon(body)
            raise NotThisResponse(_CHANGED)
        head = render_head(response.status, response.headers, delivery, date_seconds=framing.date_s)
        known = head if framing.fits(head) else None  # the body can be resumed without it
        if isinstance(source, Replay):
            producer, origins = Producer(pump_of(body, delivery), limits=self._stream_limits), Origins(source)
        else:
            parts = resumed_parts(body, delivery, source.position, byte_count, covered.digest)
            producer = Producer(PartsPump(parts), covered.at, source.position, self._stream_limits)
            origins = Origins(events=replay)
        return StreamedResponse(producer, origins, framing, known, self._stream_limits)

    def _kept_page(self, token: AskedToken, context: ReplayContext) -> Plan | None:
        """Return the plan as it is delivered, if it is kept and whole."""
        found = self._pages.get(page_key(context))
        if found is None:
            return None
        try:
            return token.check(decode_plan(found))
        except (BadPlan, BadToken):
            return None

    async def _plan_again(self, token: AskedToken, context: ReplayContext, connection: bytes, peer: str) -> Plan:
        has_body = token.delivered.delivery.has_body
        response = await self._run(token.request, context, connection, peer)
        if isinstance(response.body, Streamed) and has_body:  # not complete at once this time
            response = replace(response, body=await self._collected(response.body))
        if not isinstance(response.body, Streamed | Stepped):
            return plan_of(response)
        await abandon(response.body)
        if has_body:
            raise NotThisResponse(_CHANGED)
        return Plan(response.status, response.headers)

    async def _collected(self, body: Streamed) -> Complete:
        try:
            return await collected(body, self._responder.limits.replayed_bytes)
        except Exception as error:
            self._responder.on_error(error)
            raise NotThisResponse("the body differs here") from error

    async def _run(
        self, packed: bytes, context: ReplayContext, connection: bytes, peer: str, last_id: bytes = b""
    ) -> Response:
        """Return the application's response to the request of a token, with the id of the last event if given."""
        complete = await self._complete(packed)
        if last_id:
            headers = complete.head.headers.with_pair("last-event-id", last_id.decode("latin-1"))
            complete = complete._replace(head=replace(complete.head, headers=headers))
        return await self._responder.run(
            self._requests.request(complete, complete.body(), context, connection=connection, peer=peer)
        )

    async def _complete(self, packed: bytes) -> CompleteRequest:
        key = stored_key(packed)
        raw = unpacked(packed) if key is None else await self._kept(key)
        try:
            head = parse_head_untrusted(raw, self._limits)
            terms = self._responder.application.terms(head) if not isinstance(head, NeedMore) else Terms()
        except HTTPError as error:
            raise NotThisResponse(str(error)) from None
        if isinstance(head, NeedMore):
            raise NotThisResponse("an incomplete request")
        window = InputWindow(raw, len(raw), ended=False, read=lambda start, stop: raw[start:stop])
        return CompleteRequest(head, terms, window, len(raw))

    async def _kept(self, key: bytes) -> bytes:
        found = await self._once.kept(key)
        if found is None:
            raise NotThisResponse("the ledger does not have it")
        return found


def from_cursor(known: StepsTable, covered: VerifiedRange, limits: StreamLimits) -> tuple[StreamedResponse, int]:
    """Return the response from that range on, and its status (0 if only its first range has it).

    Raise `StateRefused` for steps that are unknown here, `NotThisResponse` for a token of another release.
    """
    source, framing = covered.source, covered.framing
    assert isinstance(source, Cursor)
    body = known.unpack(source.checkpoint).body
    delivery = delivery_of(framing, None)
    head, status = None, 0
    if source.plan:
        try:
            plan = decode_plan(source.plan)
            rendered = render_head(plan.status, plan.headers, delivery, date_seconds=framing.date_s)
        except ValueError as exc:
            raise NotThisResponse(str(exc)) from None
        status, head = plan.status, rendered if framing.fits(rendered) else None
    producer = Producer(pump_of(body, delivery), covered.at, body.cursor, limits)
    return StreamedResponse(producer, Origins(None, body.steps, body.args, source.plan), framing, head, limits), status
