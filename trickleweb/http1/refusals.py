"""Errors as responses: one small page for each status, with the fields that the status requires."""

from __future__ import annotations

from collections.abc import Iterable

from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.http1.render import phrase
from trickleweb.messages import Inline, Length, Plan, RequestHead

# Fields that RFC 9110 requires (15.5.6, 10.2.1, 15.6.4), with defaults.
_REQUIRED = {405: ("Allow", ""), 503: ("Retry-After", "1")}
_PAGE = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
    "<body><h1>{title}</h1>{paragraph}</body></html>\n"
)


def refused(status: int, reason: str) -> HTTPError:
    """Return an error that ends the connection: after a bad head no later byte can be trusted."""
    return HTTPError(status, reason, close=True)


def method_not_allowed(allowed: Iterable[str]) -> HTTPError:
    """Return 405 with Allow in a stable order."""
    return HTTPError(405, headers=(("Allow", ", ".join(sorted(set(allowed)))),))


def check_announced(head: RequestHead, most_bytes: int) -> None:
    """Raise 413 for a body whose announced length is more than `most_bytes`."""
    if isinstance(head.framing, Length) and head.framing.byte_count > most_bytes:
        raise too_large(most_bytes)


def too_large(most_bytes: int) -> HTTPError:
    """Return 413 for a body over a limit; the connection closes, as the rest of the body follows on it."""
    return HTTPError(413, f"The body is longer than {most_bytes} bytes.", close=True)


def unavailable(reason: str = "", *, retry_after_seconds: int = 1) -> HTTPError:
    """Return 503 with Retry-After."""
    return HTTPError(503, reason, headers=(("Retry-After", str(retry_after_seconds)),))


def error_plan(error: HTTPError, *, html: bool = False) -> Plan:
    """Return the response for an error: its status and reason as plain text or as a page, never cached."""
    title = f"{error.status} {phrase(error.status)}".rstrip()
    if html:
        from html import escape  # imports a table of thousands of names: not at every start

        paragraph = f"<p>{escape(error.reason)}</p>" if error.reason else ""
        kind, text = "text/html; charset=utf-8", _PAGE.format(title=title, paragraph=paragraph)
    else:
        kind, text = "text/plain; charset=utf-8", f"{title}\n{error.reason}\n" if error.reason else f"{title}\n"
    headers = Headers(
        (("Content-Type", kind), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"), *error.headers)
    )
    required = _REQUIRED.get(error.status)
    if required and required[0] not in headers:
        headers = headers.added(required)
    return Plan(error.status, headers, (Inline(text.encode("utf-8", "replace")),))
