"""One shape composes everything: a handler answers a request, a middleware makes a handler of a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from trickleweb.errors import HTTPError
from trickleweb.request import Request
from trickleweb.responses import Response, error_response

Handler = Callable[[Request], Awaitable[Response]]
Middleware = Callable[[Handler], Handler]
Answer = Callable[[Request, HTTPError], Response]  # makes the response for an error


def composed(handler: Handler, middleware: Sequence[Middleware] = (), answer: Answer = error_response) -> Handler:
    """`handler` inside `middleware`, the first one outermost.

    An `HTTPError` becomes a response right where it is raised, so every middleware sees responses only, those of errors
    too. Any other exception goes through all of them to whoever called.
    """
    made = _answering(handler, answer)
    for each in reversed(middleware):
        made = _answering(each(made), answer)
    return made


def _answering(handler: Handler, answer: Answer) -> Handler:
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except HTTPError as error:
            return answer(request, error)

    return answered
