"""Turn exceptions into responses: registered handlers by type, then by status, then the default error page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from traceback import format_exception
from typing import Any

from trickleweb.app.pool import WorkerPool
from trickleweb.errors import HTTPError
from trickleweb.handlers import Handler, Middleware
from trickleweb.http1 import unavailable
from trickleweb.ledger import LedgerUnavailable, OtherLedger
from trickleweb.request import Request
from trickleweb.responses import Response, as_response, error_response
from trickleweb.sealing import BadSeal
from trickleweb.templating import render
from trickleweb.topics import TopicsFull, TopicsUnavailable

_LOGGER = logging.getLogger("trickleweb.app")
Answer = Callable[..., Any]  # takes request and exception, async or plain; returns as a handler does
Key = int | type[Exception]
Resolve = Callable[[Request, Response], Awaitable[Response]]


class ErrorHandlers:
    """Error handlers of an application.

    An `HTTPError`, and any exception with a handler of its own, becomes a response where it is raised, so that all
    middleware sees responses; other exceptions pass through the middleware, which may roll back, and are answered
    500 outside of it. `request.state["exception"]` holds the one that was answered 500.
    """

    def __init__(self, pool: WorkerPool, *, debug: bool = False) -> None:
        self._pool = pool
        self._debug = debug
        self._handlers: dict[Key, Answer] = {}

    def add(self, key: Key, answer: Answer) -> None:
        """Register the handler of a status, or of an exception type and its subclasses; 500 and Exception handle the
        rest.
        """
        self._handlers[key] = answer

    def composed(self, handler: Handler, middleware: Sequence[Middleware], resolve: Resolve) -> Handler:
        """Return `handler` inside `middleware`, the first one outermost, with errors answered at every layer.

        `resolve` gives a response a body that can be sent; its exceptions are answered like those of handlers.
        """
        made = self._answering(handler, resolve)
        for each in reversed(middleware):
            made = self._answering(each(made), resolve)
        return made

    async def last(self, request: Request, error: Exception, resolve: Resolve) -> Response:
        """Return the response to an exception without a handler, and log it."""
        if isinstance(error, HTTPError):  # raised by an error handler
            return error_response(request, error)
        request.state["exception"] = error
        more = {"request_id": request.state.get("request_id", ""), "method": request.method, "path": request.head.path}
        _LOGGER.error("%s %s failed", request.method, request.head.path, exc_info=error, extra=more)
        if self._debug:
            return _debug_page(request, error)
        own = self._handlers.get(500) or self._handlers.get(Exception)
        if own is not None:
            try:
                return await resolve(request, await self._asked(own, request, error, 500))
            except Exception:
                _LOGGER.exception("the error handler failed too")
        return error_response(request, HTTPError(500))

    def _answering(self, handler: Handler, resolve: Resolve) -> Handler:
        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:
                answer = await self._known(request, error)
                if answer is None:
                    raise
                return await resolve(request, answer)

        return answered

    async def _known(self, request: Request, error: Exception) -> Response | None:
        known = _http_error(error)
        found = self._found(error, known)
        if found is not None:
            return await self._asked(found, request, error, known.status if known else 500, known)
        if isinstance(error, TopicsFull | TopicsUnavailable):  # nobody else reports it
            _LOGGER.error("%s %s: %s", request.method, request.head.path, error)
        return None if known is None else error_response(request, known)

    def _found(self, error: Exception, known: HTTPError | None) -> Answer | None:
        """Return the nearest handler: by exception type, then by status, then that of all `HTTPError`s."""
        types = type(error).__mro__[: type(error).__mro__.index(Exception)]
        keys: list[Key] = [each for each in types if each is not HTTPError]
        if known is not None:
            keys += [known.status, HTTPError]
        return next((self._handlers[key] for key in keys if key in self._handlers), None)

    async def _asked(
        self, answer: Answer, request: Request, error: Exception, status: int, known: HTTPError | None = None
    ) -> Response:
        """Call an error handler; a result that is no `Response` gets the status.

        The fields that a status requires (Allow, Retry-After) are added as long as the status stays.
        """
        value = await self._pool.call(answer, request, error)
        made = as_response(value)
        if not isinstance(value, Response):
            made = replace(made, status=status)
        if known is None or made.status != known.status:
            return made
        missing = [(name, text) for name, text in known.headers if name not in made.headers]
        return replace(made, headers=made.headers.added(*missing))


def _http_error(error: Exception) -> HTTPError | None:
    """Return the `HTTPError` for an error that the framework knows; a bad seal gets no details."""
    match error:
        case HTTPError():
            return error
        case BadSeal():
            return HTTPError(400, "This page is no longer valid: reload it.")
        case LedgerUnavailable():
            return unavailable("The ledger is unavailable.")
        case OtherLedger():
            return unavailable("This form was begun on a server that does not share this one's ledger.")
        case TopicsUnavailable():
            return unavailable("The topics are unavailable.")
        case TopicsFull():
            return HTTPError(507, "There is no room in the topics.")
    return None


def _debug_page(request: Request, error: Exception) -> Response:
    """Return the traceback as text or HTML, escaped; only for debug mode."""
    trace = "".join(format_exception(error))
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    fields = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
    if not request.accepts("text/html") or "text/html" not in (request.headers.joined("accept") or ""):
        return Response.text(trace, status=status, headers=fields)
    title = f"{type(error).__name__}: {error}"
    page = render("debug.html", title=title, method=request.method, path=request.head.path, trace=trace)
    return Response.html(page, status=status, headers=fields)
