"""Observation of requests: the duration of a handler, and an id for each request."""

from __future__ import annotations

import re
from collections.abc import Callable

from trickleweb.handlers import Handler, Middleware, middleware
from trickleweb.request import Request
from trickleweb.responses import Response

_IDENTIFIER = re.compile(r"[0-9A-Za-z._~+/=-]{1,128}")
Report = Callable[[Request, Response | None, int], None]


def timing(clock_us: Callable[[], int], report: Report) -> Middleware:
    """Report each request with its response (None after an exception) and the microseconds until then.

    The duration goes into no header: a request that is run again on another replica must give the same bytes.
    """

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        start = clock_us()
        response: Response | None = None
        try:
            response = await inner(request)
            return response
        finally:
            report(request, response, clock_us() - start)

    return handle


def request_ids(*, header: str = "X-Request-ID", trust: bool = False) -> Middleware:
    """Give each request an id in `request.state["request_id"]` and in a header of its response.

    With `trust` an id that came with the request is kept if valid (at most 128 plain characters), for servers after one
    of yours. Others are random, and equal when the request is run again.
    """

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        given = request.headers.get(header) or ""
        known = trust and _IDENTIFIER.fullmatch(given)
        name = given if known else request.entropy("request id", 16).hex()
        request.state["request_id"] = name
        return (await inner(request)).with_header(header, name)

    return handle
