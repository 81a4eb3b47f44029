"""Handlers and middleware: a middleware makes a handler of a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trickleweb.request import Request
from trickleweb.responses import Response

Handler = Callable[[Request], Awaitable[Response]]
Middleware = Callable[[Handler], Handler]


def middleware(handle: Callable[[Request, Handler], Awaitable[Response]]) -> Middleware:
    """Decorate a function of a request and the inner handler."""
    return lambda inner: lambda request: handle(request, inner)
