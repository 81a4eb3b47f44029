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

_LOGGER = logging.getLogger("trickleweb.app")
Answer = Callable[..., Any]  # of the request and the exception, async or plain; its value is like a handler's
Key = int | type[Exception]
Resolve = Callable[[Request, Response], Awaitable[Response]]


class ErrorHandlers:
    """The answers of an application to errors.

    An `HTTPError`, and whatever has a handler of its own, becomes a response right where it is raised, so that all
    middleware sees responses; any other exception goes through the middleware, which may undo what it has begun, and
    is answered 500 outside of it. `request.state["exception"]` is the one that was answered 500.
    """

    def __init__(self, pool: WorkerPool, *, debug: bool = False) -> None:
        self._pool = pool
        self._debug = debug
        self._handlers: dict[Key, Answer] = {}

    def add(self, key: Key, answer: Answer) -> None:
        """Answer that status, or that type of exception and those below it; for 500 and Exception, all that is left."""
        self._handlers[key] = answer

    def composed(self, handler: Handler, middleware: Sequence[Middleware], resolve: Resolve) -> Handler:
        """`handler` inside `middleware`, the first one outermost, with errors answered at every layer.

        `resolve` makes bodies that can be sent of what handlers of errors return; what it raises is an error as theirs.
        """
        made = self._answering(handler, resolve)
        for each in reversed(middleware):
            made = self._answering(each(made), resolve)
        return made

    async def last(self, request: Request, error: Exception, resolve: Resolve) -> Response:
        """The response for what nobody expected; it is logged."""
        if isinstance(error, HTTPError):  # by a handler of errors
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
                _LOGGER.exception("the handler for errors failed too")
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
        """The response for an error that somebody has thought of."""
        told = _told(error)
        found = self._found(error, told)
        if found is not None:
            return await self._asked(found, request, error, told.status if told else 500, told)
        return None if told is None else error_response(request, told)

    def _found(self, error: Exception, told: HTTPError | None) -> Answer | None:
        """The nearest handler: of a type of error, then of the status, then of all errors that have one."""
        types = type(error).__mro__[: type(error).__mro__.index(Exception)]
        keys: list[Key] = [each for each in types if each is not HTTPError]
        if told is not None:
            keys += [told.status, HTTPError]
        return next((self._handlers[key] for key in keys if key in self._handlers), None)

    async def _asked(
        self, answer: Answer, request: Request, error: Exception, status: int, told: HTTPError | None = None
    ) -> Response:
        """Call a handler of errors; a value that is no whole response gets the status.

        The fields that a status asks for (Allow, Retry-After) stay, as long as it is that status.
        """
        value = await self._pool.call(answer, request, error)
        made = as_response(value)
        if not isinstance(value, Response):
            made = replace(made, status=status)
        if told is None or made.status != told.status:
            return made
        missing = [(name, text) for name, text in told.headers if name not in made.headers]
        return replace(made, headers=made.headers.added(*missing))


def _told(error: Exception) -> HTTPError | None:
    """The answer to an error that the framework itself knows; of a bad seal no more than that."""
    match error:
        case HTTPError():
            return error
        case BadSeal():
            return HTTPError(400, "This page cannot be used any more: load it again.")
        case LedgerUnavailable():
            return unavailable("The ledger cannot be asked now.")
        case OtherLedger():
            return unavailable("This form was begun at a server that does not share its records with this one.")
    return None


def _debug_page(request: Request, error: Exception) -> Response:
    """The traceback, for the program's author alone; in a page everything is escaped."""
    trace = "".join(format_exception(error))
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    fields = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
    if not request.accepts("text/html") or "text/html" not in (request.headers.joined("accept") or ""):
        return Response.text(trace, status=status, headers=fields)
    title = f"{type(error).__name__}: {error}"
    page = render("debug.html", title=title, method=request.method, path=request.head.path, trace=trace)
    return Response.html(page, status=status, headers=fields)
