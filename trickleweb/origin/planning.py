"""From a request, or an error, to an exchange and its state; what was made is remembered, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trickleweb.errors import HTTPError, UnsafeHeader
from trickleweb.files import FilesError, FilesUnavailable, HashPending, PlanTooLarge
from trickleweb.files.recent import Recent
from trickleweb.http1 import Delivery, decide_delivery, error_plan, unavailable
from trickleweb.messages import Plan, Request
from trickleweb.origin import retold
from trickleweb.origin.ports import Site
from trickleweb.origin.response import NotThisResponse, Response
from trickleweb.origin.state import Exchange, decode, encode, exchange, renamed

_REMEMBERED_BYTES = 16 << 20  # of each of the two memories
_OVERHEAD_BYTES = 1500  # of one response in them


class Made(NamedTuple):
    """A response about to be begun, and the state from which it can be gone on with."""

    response: Response
    state: bytes
    status: int
    body_bytes: int = 0
    head: Request | None = None  # of the request, if somebody wants to know


def _ignore(_error: Exception) -> None:
    """Nobody wants to know."""


class Planner:
    """Asks the site; all that it remembers only saves time. `on_error` is told what a site should not have raised."""

    def __init__(
        self, site: Site, now_s: Callable[[], int], strong_name: Callable[[str], str | None] = lambda _: None
    ) -> None:
        self.on_error: Callable[[Exception], None] = _ignore
        self._site = site
        self._now_s = now_s
        self._strong_name = strong_name
        self._made: Recent[tuple[int, Delivery], tuple[Plan, int, Made]] = Recent(_REMEMBERED_BYTES)
        self._states: Recent[bytes, Response] = Recent(_REMEMBERED_BYTES)

    def drop_caches(self) -> None:
        """Forget everything."""
        self._made.clear()
        self._states.clear()

    def plan(self, request: Request) -> Plan:
        """The site's response, errors as responses too; `HashPending` when the client should ask again."""
        try:
            return self._site.plan(request)
        except HTTPError as error:
            if isinstance(error.__cause__, FilesError):
                self.on_error(error.__cause__)
            return self.refusal(error, request)
        except HashPending:
            raise
        except Exception as error:  # noqa: BLE001 - a response of its own, whatever happened
            self.on_error(error)
            return self.refusal(HTTPError(500), request)

    def refusal(self, error: HTTPError, request: Request | None = None) -> Plan:
        """The response for an error: the site's own page, or a plain one."""
        html = request is not None and "text/html" in (request.headers.joined("accept") or "")
        try:
            own = self._site.error_page(error)
        except FilesError:
            own = None
        return own or error_plan(error, html=html)

    def made(self, plan: Plan, request: Request, *, close: bool) -> Made:
        """The beginning of the response to a request; the connection ends behind it if `close` says so."""
        delivery = decide_delivery(request, plan.status, plan.body_bytes, close=close)
        date_s, key = self._now_s(), (id(plan), delivery)
        known = self._made.get(key)
        if known is not None and known[0] is plan and known[1] == date_s:
            return known[2]
        made = self._begin(exchange(plan, delivery, date_s), lambda: retold.pack(request))
        self._made.put(key, (plan, date_s, made), made.response.inline_bytes + _OVERHEAD_BYTES)
        return made

    def unreadable(self, error: FilesUnavailable) -> Made:
        """The last response on a connection whose request's file can be found and not be read now."""
        self.on_error(error)
        return self.made_last(self.refusal(unavailable("The file cannot be read now.")), has_body=True)

    def firmer(self, state: bytes, response: Response) -> bytes | None:
        """The state of a response begun with files that had no hash yet, once they have one; else None."""
        return renamed(state, response.pieces, self._strong_name) if response.provisional else None

    def made_last(self, plan: Plan, *, has_body: bool) -> Made:
        """The last response on a connection whose input is no request."""
        delivery = Delivery(plan.body_bytes, chunked=False, has_body=has_body, keep_alive=False)
        return self._begin(exchange(plan, delivery, self._now_s()), None)

    def resumed(self, state: bytes) -> Response:
        """The response that was begun with that state, here or elsewhere; `NotThisResponse`, or `HashPending`."""
        known = self._states.get(state)
        if known is not None:
            return known
        found = decode(state)
        if isinstance(found, Response):
            return self._remember(state, found)
        try:
            request = retold.unpack(found.request)
        except HTTPError as error:
            raise NotThisResponse(str(error)) from None
        return self._remember(state, found.resumed(self.plan(request)))

    def _begin(self, value: Exchange, request: Callable[[], bytes] | None) -> Made:
        try:
            return self._encoded(value, request)
        except (PlanTooLarge, UnsafeHeader) as error:
            self.on_error(error)
        plan = error_plan(HTTPError(500, "The response cannot be sent as it is."))
        delivery = Delivery(plan.body_bytes, chunked=False, has_body=value.delivery.has_body, keep_alive=False)
        return self._encoded(exchange(plan, delivery, value.date_s), None)

    def _encoded(self, value: Exchange, request: Callable[[], bytes] | None) -> Made:
        response = value.response()
        state = encode(value, response.head or b"", request)
        return Made(self._remember(state, response), state, value.plan.status, value.plan.body_bytes)

    def _remember(self, state: bytes, response: Response) -> Response:
        self._states.put(state, response, response.inline_bytes + _OVERHEAD_BYTES)
        return response
