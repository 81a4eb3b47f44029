"""Responses of handlers, with constructors for every kind of body."""

from __future__ import annotations

import json as jsons
import re
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from trickleweb.bodies import Body, Complete, Data, FileBody, Rendered, Stepped, Streamed
from trickleweb.bodies.events import MAX_ID_CHARS, EventStream
from trickleweb.cookies import Cookie
from trickleweb.errors import HTTPError, WebError
from trickleweb.headers import Headers, Pair
from trickleweb.http1 import error_plan, phrase
from trickleweb.http1.render import render_field
from trickleweb.messages import Inline
from trickleweb.parameters import quoted
from trickleweb.request import Request

_NOT_PLAIN = re.compile(r"[^ -~]|[%\"\\/]")
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986 2.2, and existing escapes
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


def content_disposition(filename: str, *, inline: bool = False) -> str:
    """Return a Content-Disposition that offers `filename` for saving (RFC 6266): plain for old clients, and in
    UTF-8.
    """
    kind = "inline" if inline else "attachment"
    plain = _NOT_PLAIN.sub("_", filename)
    if plain == filename:
        return f"{kind}; filename={quoted(plain)}"
    extended = quote(filename, safe="!#$&+^`|~", errors="replace")  # RFC 8187 3.2.1
    return f"{kind}; filename={quoted(plain)}; filename*=UTF-8''{extended}"


def location(url: str) -> str:
    """Return a URL as in Location, other characters escaped, so that nothing can end the field."""
    return quote(url, safe=_URL_SAFE, errors="replace")


def local_target(url: str | None, default: str = "/") -> str:
    """Return `url` if it is a path on this host, else `default`: for `next=` in a login's query."""
    if not url or not url.startswith("/") or url.startswith("//") or _CONTROL.search(url):
        return default
    return url


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEXT, _HTML, _JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
_BYTES = "application/octet-stream"


# Caches must not keep an event stream, and nginx must not hold it back.
_OF_EVENTS = (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
HEARTBEAT_S = 15.0  # some proxies close connections that are silent for longer (HTML Standard, 9.2.7)
RETRY_MS = 1000


class NoResponse(WebError, TypeError):
    """A handler returned a value that cannot be sent."""


@dataclass(frozen=True, slots=True)
class Response:
    """A status, headers and a body; the server adds Content-Length, Date and the other framing fields.

    Raises `UnsafeHeader` for a header that would break the message, ValueError for a status that is not final.
    """

    status: int = 200
    headers: Headers = field(default_factory=Headers)
    body: Body = field(default_factory=Complete)
    close: bool = False  # the connection ends after it

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"{self.status} is no final status")
        for name, value in self.headers.pairs:
            render_field(name, value)

    @classmethod
    def bytes(
        cls, data: bytes, *, media_type: str = _BYTES, status: int = 200, headers: Iterable[Pair] = ()
    ) -> Response:
        """Return bytes of any type."""
        return cls(status, _typed(media_type, headers), Complete(data))

    @classmethod
    def text(cls, text: str, *, status: int = 200, headers: Iterable[Pair] = ()) -> Response:
        """Return plain text."""
        return cls(status, _typed(_TEXT, headers), Complete(text.encode("utf-8")))

    @classmethod
    def html(cls, html: str, *, status: int = 200, headers: Iterable[Pair] = ()) -> Response:
        """Return an HTML page; user input in it must be escaped, as templates do."""
        return cls(status, _typed(_HTML, headers), Complete(html.encode("utf-8")))

    @classmethod
    def json(
        cls,
        value: Any,
        *,
        status: int = 200,
        headers: Iterable[Pair] = (),
        default: Callable[[Any], Any] | None = None,
    ) -> Response:
        """Return a value as compact JSON, keys in their order; `default` is that of json.dumps."""
        text = jsons.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default)
        return cls(status, _typed(_JSON, headers), Complete(text.encode("utf-8")))

    @classmethod
    def empty(cls, status: int = 204, *, headers: Iterable[Pair] = ()) -> Response:
        """Return a response without a body."""
        return cls(status, Headers(tuple(headers)))

    @classmethod
    def redirect(cls, url: str, *, status: int = 303, headers: Iterable[Pair] = ()) -> Response:
        """Redirect the client: 303 with GET, 307 with the same method, 301 and 308 permanently."""
        if status not in _REDIRECTS:
            raise ValueError(f"{status} is no redirect")
        return cls(status, Headers((("Location", location(url)), *headers)))

    @classmethod
    def file(
        cls,
        path: str,
        *,
        folder: str = "",
        download: str | None = None,
        media_type: str = "",
        headers: Iterable[Pair] = (),
    ) -> Response:
        """Return a file below one of the application's folders; `download` is the name to save it under."""
        saved = () if download is None else (("Content-Disposition", content_disposition(download)),)
        return cls(200, Headers((*saved, *headers)), FileBody(path, folder, media_type))

    @classmethod
    def template(
        cls,
        template: str,
        context: dict[str, Any] | None = None,
        *,
        streaming: bool = False,
        media_type: str = _HTML,
        status: int = 200,
        headers: Iterable[Pair] = (),
    ) -> Response:
        """Return a page from a template; a `streaming` one is sent while it is rendered."""
        return cls(status, _typed(media_type, headers), Rendered(template, context or {}, streaming))

    @classmethod
    def stepped(
        cls, body: Stepped, *, media_type: str = _BYTES, status: int = 200, headers: Iterable[Pair] = ()
    ) -> Response:
        """Return a body made in steps, which any replica resumes from the last cursor: see `steps`."""
        return cls(status, _typed(media_type, headers), body)

    @classmethod
    def events(
        cls,
        stream: EventStream,
        request: Request | None = None,
        *,
        after: str = "",
        heartbeat: float = HEARTBEAT_S,
        retry_ms: int = RETRY_MS,
        headers: Iterable[Pair] = (),
    ) -> Response:
        """Return server-sent events, which any replica resumes after the last one: see `App.events`.

        They begin after the id in the request's Last-Event-ID, else after `after`. A comment is sent after `heartbeat`
        seconds of silence; `retry_ms` is a browser's pause before it connects again.
        """
        if request is not None and (last := request.headers.get("last-event-id")):
            after = last.encode("latin-1")[:MAX_ID_CHARS].decode("utf-8", "replace")
        given = Headers((*_OF_EVENTS, *headers))
        return cls(200, given, stream.body(after, heartbeat=heartbeat, retry_ms=retry_ms))

    @classmethod
    def stream(
        cls,
        chunks: AsyncIterable[Data] | Iterable[Data],
        *,
        media_type: str = _BYTES,
        status: int = 200,
        headers: Iterable[Pair] = (),
    ) -> Response:
        """Return the items of an iterable; another replica resumes by running the request again, so they must be
        equal.
        """
        return cls(status, _typed(media_type, headers), Streamed(chunks))

    def with_header(self, name: str, value: str) -> Response:
        """Return this response with a header set."""
        return replace(self, headers=self.headers.with_pair(name, value))

    def with_cookie(self, cookie: Cookie) -> Response:
        """Return this response with a cookie added."""
        return replace(self, headers=self.headers.added(("Set-Cookie", cookie.header())))

    def varying(self, *names: str) -> Response:
        """Return this response with those request fields added to Vary."""
        known = self.headers.tokens("vary")
        fresh = [name for name in names if name.lower() not in known]
        if not fresh or "*" in known:
            return self
        before = self.headers.joined("vary")
        return self.with_header("Vary", ", ".join((before, *fresh) if before else fresh))


def as_response(value: object) -> Response:
    """Return a handler's result as a response: text, bytes, JSON for dicts and lists, an empty one for None.

    Raise `NoResponse` for any other value.
    """
    match value:
        case Response():
            return value
        case str():
            return Response.text(value)
        case bytes():
            return Response.bytes(value)
        case dict() | list():
            return Response.json(value)
        case None:
            return Response.empty()
    raise NoResponse(f"a handler returned {type(value).__name__}: return a Response, text, bytes, a dict or a list")


def _typed(media_type: str, headers: Iterable[Pair]) -> Headers:
    """Return the headers with a Content-Type in front, unless they have their own."""
    if not headers:
        return Headers((("Content-Type", media_type),))
    given = Headers(tuple(headers))
    return given if "content-type" in given else Headers((("Content-Type", media_type), *given.pairs))


_PROBLEM = "application/problem+json"


def error_response(request: Request, error: HTTPError) -> Response:
    """Return the response for an error; it shows only the error's own reason."""
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
