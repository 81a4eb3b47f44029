"""Responses planned from the request's head alone, rendered and cached without an event loop."""

from __future__ import annotations

from trickleweb.application import Planning, Terms
from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError, UnsafeHeader
from trickleweb.files import FilesError, HashPending, is_snapshot
from trickleweb.http1 import BodyDelivery, decide_delivery, error_plan
from trickleweb.messages import Inline, Piece, Plan, RequestHead, Slice
from trickleweb.server.context import ServiceContext
from trickleweb.server.fixed import FixedResponse, PlannedResponse, Sendable, resumed
from trickleweb.server.tokens import AskedToken, PlannedToken, digest_of, encode
from trickleweb.server.tokens.plan import PlanTooLarge
from trickleweb.server.tokens.request import packed_head, unpacked_head

UNWANTED_BYTES = 65_536  # of an unused body, read and dropped to keep the connection


class Planner:
    """Asks a `Planning`, and caches its responses."""

    def __init__(self, source: Planning, context: ServiceContext) -> None:
        self._source = source
        self._now_s = context.now_s
        self._on_error = context.report
        self._made: LruCache[tuple[int, BodyDelivery], tuple[Plan, int, Sendable]] = LruCache(
            context.limits.server.remembered_bytes
        )

    def drop_caches(self) -> None:
        self._made.clear()

    def terms(self, head: RequestHead) -> Terms | None:
        """Return the terms of a request with its plan, None if its head is not enough; raise `HTTPError`,
        `HashPending`.
        """
        try:
            plan = self._source.plan(head)
        except HTTPError as error:
            if isinstance(error.__cause__, FilesError):
                self._on_error(error.__cause__)
            raise
        except HashPending:
            raise
        except Exception as error:  # noqa: BLE001 - every failure gets a response
            self._on_error(error)
            raise HTTPError(500) from None
        return None if plan is None else Terms(max_body_bytes=UNWANTED_BYTES, plan=plan)

    def refusal(self, error: HTTPError, head: RequestHead | None) -> Plan:
        """Return the response for an error: the source's own page, or a plain one."""
        html = head is not None and "text/html" in (head.headers.joined("accept") or "")
        try:
            own = self._source.error_page(error)
        except FilesError:
            own = None
        return own or error_plan(error, html=html)

    def made(self, plan: Plan, head: RequestHead, *, close: bool) -> Sendable:
        """Return the response to a request; `close` ends the connection after it."""
        delivery = decide_delivery(head, plan.status, plan.body_bytes, close=close)
        date_s, key = self._now_s(), (id(plan), delivery)
        known = self._made.get(key)
        if known is not None and known[0] is plan and known[1] == date_s:
            return known[2]
        made = self._sendable(PlannedResponse.of(plan, delivery, date_s), head)
        self._made.put(key, (plan, date_s, made), made.response.weight)
        return made

    def last(self, error: HTTPError, *, has_body: bool) -> Sendable:
        """Return the last response on a connection whose input is no request."""
        plan = self.refusal(error, None)
        delivery = BodyDelivery(plan.body_bytes, chunked=False, has_body=has_body, keep_alive=False)
        return self._sendable(PlannedResponse.of(plan, delivery, self._now_s()), None)

    def resumed(self, token: AskedToken) -> FixedResponse:
        """Return the response that was started with the token, anywhere; raise `BadToken`, or `HashPending`."""
        head = unpacked_head(token.request)
        try:
            terms = self.terms(head)
            plan = Plan(404) if terms is None or terms.plan is None else terms.plan
        except HTTPError as error:
            plan = self.refusal(error, head)
        return resumed(token.delivered, token.check(plan))

    def hashed(self, token: PlannedToken) -> bytes | None:
        """Return the token with the strong names of contents that had no hash before; None while one has none.

        With strong names any machine resumes the response.
        """
        pieces = [self._hashed(piece) for piece in token.plan.pieces]
        firm = tuple(piece for piece in pieces if piece is not None)
        if len(firm) < len(pieces):
            return None
        return encode(PlannedToken(token.delivered, Plan(token.plan.status, token.plan.headers, firm)))

    def _hashed(self, piece: Piece) -> Piece | None:
        if isinstance(piece, Inline) or not is_snapshot(piece.content):
            return piece
        name = self._source.strong_name(piece.content)
        return None if name is None else Slice(name, piece.start, piece.stop)

    def _sendable(self, value: PlannedResponse, head: RequestHead | None) -> Sendable:
        try:
            return self._fitting(value, head)
        except (PlanTooLarge, UnsafeHeader) as error:
            self._on_error(error)
        plan = error_plan(HTTPError(500, "The response cannot be sent as it is."))
        delivery = BodyDelivery(plan.body_bytes, chunked=False, has_body=value.delivery.has_body, keep_alive=False)
        return PlannedResponse.of(plan, delivery, value.date_s).sendable()

    def _fitting(self, value: PlannedResponse, head: RequestHead | None) -> Sendable:
        try:
            return value.sendable()
        except PlanTooLarge:
            if head is None:
                raise
        response = value.rendered()
        token = AskedToken(value.delivered(response.head or b""), digest_of(value.plan), packed_head(head))
        return Sendable(response, encode(token), value.plan.status)
