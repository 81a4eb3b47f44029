"""Errors as responses, in the form that the client takes: a page, problem details (RFC 9457), or plain text."""

from __future__ import annotations

from trickleweb.bodies import Complete
from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.http1 import error_plan, phrase
from trickleweb.messages import Inline
from trickleweb.request import Request
from trickleweb.responses.response import Response

_PROBLEM = "application/problem+json"


def error_response(request: Request, error: HTTPError) -> Response:
    """The response for an error; nothing of the program shows in it but the error's own reason."""
    accept = request.headers.joined("accept") or ""
    html = "text/html" in accept
    plan = error_plan(error, html=html)
    data = b"".join(piece.data for piece in plan.pieces if isinstance(piece, Inline))
    headers = plan.headers
    if not html and ("application/json" in accept or _PROBLEM in accept):
        headers, data = headers.with_pair("Content-Type", _PROBLEM), _problem(error)
    return Response(plan.status, Headers(headers.pairs), Complete(data), close=error.close)


def _problem(error: HTTPError) -> bytes:
    fields = {"status": error.status, "title": phrase(error.status), "detail": error.reason}
    body = Response.json({name: value for name, value in fields.items() if value}).body
    return body.data if isinstance(body, Complete) else b""
