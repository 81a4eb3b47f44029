"""What a handler returns."""

from __future__ import annotations

import json as jsons
import re
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from trickleweb.bodies import Body, Complete, Data, FileBody, Rendered, Stepped, Streamed
from trickleweb.cookies import Cookie
from trickleweb.errors import HTTPError, WebError
from trickleweb.headers import Headers, Pair
from trickleweb.http1 import error_plan, phrase
from trickleweb.http1.render import render_field
from trickleweb.messages import Inline
from trickleweb.parameters import quoted
from trickleweb.request import Request

_NOT_PLAIN = re.compile(r"[^ -~]|[%\"\\/]")
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986 2.2, and what is escaped already
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


def content_disposition(filename: str, *, inline: bool = False) -> str:
    """A Content-Disposition that offers `filename` for saving (RFC 6266): plain for old programs, and in UTF-8."""
    kind = "inline" if inline else "attachment"
    plain = _NOT_PLAIN.sub("_", filename)
    if plain == filename:
        return f"{kind}; filename={quoted(plain)}"
    extended = quote(filename, safe="!#$&+^`|~", errors="replace")  # RFC 8187 3.2.1
    return f"{kind}; filename={quoted(plain)}; filename*=UTF-8''{extended}"


def location(url: str) -> str:
    """A URL as Location carries it: what is no URL character is escaped, so nothing can end the field."""
    return quote(url, safe=_URL_SAFE, errors="replace")


def local_target(url: str | None, default: str = "/") -> str:
    """`url` if it stays on this host (a path, one slash in front), else `default`: for `next=` in a login's query."""
    if not url or not url.startswith("/") or url.startswith("//") or _CONTROL.search(url):
        return default
    return url


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEXT, _HTML, _JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
_BYTES = "application/octet-stream"


class NoResponse(WebError, TypeError):
    """A handler returned what cannot be sent."""


@dataclass(frozen=True, slots=True)
class Response:
    """A status, headers and a body; Content-Length, Date and what else frames the message are the server's.

    `UnsafeHeader` for a header that would break the message, ValueError for a status that is none of a final response.
    """

    status: int = 200
    headers: Headers = field(default_factory=Headers)
    body: Body = field(default_factory=Complete)
    close: bool = False  # the connection ends behind it

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"{self.status} is no final status")
        for name, value in self.headers:
            render_field(name, value)

    @classmethod
    def bytes(
        cls, data: bytes, *, media_type: str = _BYTES, status: int = 200, headers: Iterable[Pair] = ()
    ) -> Response:
        """Bytes of any type."""
        return cls(status, _typed(media_type, headers), Complete(data))

    @classmethod
    def text(cls, text: str, *, status: int = 200, headers: Iterable[Pair] = ()) -> Response:
        """Plain text."""
        return cls(status, _typed(_TEXT, headers), Complete(text.encode("utf-8")))

    @classmethod
    def html(cls, html: str, *, status: int = 200, headers: Iterable[Pair] = ()) -> Response:
        """A page; what users have typed must be escaped in it, as templates do."""
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
        """A value as compact JSON, keys in their order; `default` is what json.dumps takes for other types."""
        text = jsons.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default)
        return cls(status, _typed(_JSON, headers), Complete(text.encode("utf-8")))

    @classmethod
    def empty(cls, status: int = 204, *, headers: Iterable[Pair] = ()) -> Response:
        """Nothing but a status."""
        return cls(status, Headers(tuple(headers)))

    @classmethod
    def redirect(cls, url: str, *, status: int = 303, headers: Iterable[Pair] = ()) -> Response:
        """Send the client elsewhere: 303 with GET, 307 with the same method, 301 and 308 for good."""
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
        """A file below one of the application's folders; `download` is the name to save it under."""
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
        """A page from a template; a `streaming` one is sent while it is rendered."""
        return cls(status, _typed(media_type, headers), Rendered(template, context or {}, streaming))

    @classmethod
    def stepped(
        cls, body: Stepped, *, media_type: str = _BYTES, status: int = 200, headers: Iterable[Pair] = ()
    ) -> Response:
        """A body made step by step, which any replica goes on with from the last cursor: see `steps`."""
        return cls(status, _typed(media_type, headers), body)

    @classmethod
    def stream(
        cls,
        chunks: AsyncIterable[Data] | Iterable[Data],
        *,
        media_type: str = _BYTES,
        status: int = 200,
        headers: Iterable[Pair] = (),
    ) -> Response:
        """What an iterable gives; another replica goes on by running the request again, so it must give the same."""
        return cls(status, _typed(media_type, headers), Streamed(chunks))

    def with_header(self, name: str, value: str) -> Response:
        """This response with a header set."""
        return replace(self, headers=self.headers.with_pair(name, value))

    def with_cookie(self, cookie: Cookie) -> Response:
        """This response with a cookie set too."""
        return replace(self, headers=self.headers.added(("Set-Cookie", cookie.header())))

    def varying(self, *names: str) -> Response:
        """This response, said to depend on those fields of the request too."""
        known = self.headers.tokens("vary")
        fresh = [name for name in names if name.lower() not in known]
        if not fresh or "*" in known:
            return self
        before = self.headers.joined("vary")
        return self.with_header("Vary", ", ".join((before, *fresh) if before else fresh))


def as_response(value: object) -> Response:
    """What a handler's return value means: text, bytes, JSON for dicts and lists, nothing for None.

    `NoResponse` for any other value.
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
    """The headers with a Content-Type in front, unless they have their own."""
    given = Headers(tuple(headers))
    return given if "content-type" in given else Headers((("Content-Type", media_type), *given.pairs))


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
