"""Applications that wrap another one."""

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
    """An `Application` that delegates everything to `inner`; subclasses change parts."""

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
    """An application whose current request is available to the logs."""

    async def respond(self, request: Request) -> Response:
        _CURRENT.set(request)
        return await self.inner.respond(request)


def current_request() -> Request | None:
    """Return the request that this task is processing, or processed last."""
    return _CURRENT.get()


def request_id(request: Request) -> str:
    """Return the client's X-Request-ID if valid, else the request's idempotency key."""
    given = request.headers.get("x-request-id") or ""
    return given if _IDENTIFIER.fullmatch(given) else request.idempotency_key
