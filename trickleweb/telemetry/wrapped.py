"""An application around another: it is the inner one but for what a subclass changes."""

from __future__ import annotations

import re
from contextvars import ContextVar

from trickles.service import Buffer
from trickleweb.application import Application, Terms
from trickleweb.bodies import StepsTable
from trickleweb.messages import RequestHead
from trickleweb.request import Request
from trickleweb.responses import Response


class Wrapped:
    """An `Application` that asks `inner` for everything."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner

    @property
    def steps(self) -> StepsTable:
        return self.inner.steps

    def terms(self, head: RequestHead) -> Terms:
        return self.inner.terms(head)

    async def respond(self, request: Request) -> Response:
        return await self.inner.respond(request)

    def read(self, content: str, start: int, stop: int) -> Buffer:
        return self.inner.read(content, start, stop)

    async def startup(self) -> None:
        await self.inner.startup()

    async def shutdown(self) -> None:
        await self.inner.shutdown()


_CURRENT: ContextVar[Request | None] = ContextVar("trickleweb request", default=None)
_IDENTIFIER = re.compile(r"[0-9A-Za-z._~+/=-]{1,128}")


class Named(Wrapped):
    """An application whose requests are known to the logs while they are worked on."""

    def __init__(self, inner: Application) -> None:
        super().__init__(inner)

    async def respond(self, request: Request) -> Response:
        _CURRENT.set(request)
        return await self.inner.respond(request)


def current_request() -> Request | None:
    """The request that this task is at work on, or was last."""
    return _CURRENT.get()


def request_id(request: Request) -> str:
    """The X-Request-ID that the client sent, if it is one; else the server's own name for the request."""
    given = request.headers.get("x-request-id") or ""
    return given if _IDENTIFIER.fullmatch(given) else request.idempotency_key
