"""Which request a replica is at work on, as its logs name it: kept for each task, and by those that it starts."""

from __future__ import annotations

import re
from contextvars import ContextVar

from trickleweb.application import Application
from trickleweb.request import Request
from trickleweb.responses import Response
from trickleweb.telemetry.wrapped import Wrapped

_CURRENT: ContextVar[Request | None] = ContextVar("trickleweb request", default=None)
_IDENTIFIER = re.compile(r"[0-9A-Za-z._~+/=-]{1,128}")


class Named(Wrapped):
    """An application whose requests are known to the logs while they are worked on."""

    def __init__(self, inner: Application) -> None:
        super().__init__(inner)

    async def respond(self, request: Request) -> Response:
        """As the application's."""
        _CURRENT.set(request)
        return await self.inner.respond(request)


def current_request() -> Request | None:
    """The request that this task is at work on, or was last."""
    return _CURRENT.get()


def request_id(request: Request) -> str:
    """The X-Request-ID that the client sent, if it is one; else the server's own name for the request."""
    given = request.headers.get("x-request-id") or ""
    return given if _IDENTIFIER.fullmatch(given) else request.idempotency_key
