"""Cross-origin reads by pages of other origins (Fetch standard, section 3.2).

Preflights are answered here, whatever routes there are; other requests pass, and their responses, errors included, name
the origins that may read them. Only preflights are refused: the browser keeps the page from reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trickleweb.errors import HTTPError
from trickleweb.handlers import Handler, Middleware, middleware
from trickleweb.headers import Headers, Pair
from trickleweb.request import Request
from trickleweb.responses import Response

_SIMPLE_METHODS = ("GET", "HEAD", "POST")  # sent without a preflight
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s,]+|null")
_ASKED = "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """Permissions of other origins. `origins` are whole as browsers send them ("https://example.org"), or "*" for any.

    `origin_pattern` is a regular expression for a whole origin, besides `origins`. "*" also means any method or header;
    `credentials` exclude it everywhere: a site cannot know all pages that its users' cookies would serve.
    """

    origins: tuple[str, ...] = ()
    origin_pattern: str = ""
    methods: tuple[str, ...] = _SIMPLE_METHODS
    headers: tuple[str, ...] = ()  # besides those that need no preflight
    expose: tuple[str, ...] = ()  # response headers besides the simple ones
    credentials: bool = False
    max_age_s: int = 600  # of a preflight's response in the browser

    def __post_init__(self) -> None:
        lists = (self.origins, self.methods, self.headers, self.expose)
        if self.credentials and any("*" in each for each in lists):
            raise ValueError("with credentials, CORS names every origin, method and header")
        if not all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in self.origins):
            raise ValueError("an origin is scheme://host, perhaps with a port, in lower case and without a path")
        if not all(_TOKEN.fullmatch(name) for name in (*self.methods, *self.headers, *self.expose)):
            raise ValueError("methods and headers are tokens")
        re.compile(self.origin_pattern)

    def allows(self, origin: str) -> bool:
        """Return whether pages of that origin may read."""
        if "*" in self.origins or origin in self.origins:
            return True
        return bool(self.origin_pattern) and re.fullmatch(self.origin_pattern, origin) is not None

    @property
    def is_open(self) -> bool:
        """True if the response is the same for every origin."""
        return "*" in self.origins


def cors(policy: CorsPolicy) -> Middleware:
    """Return the middleware that applies a policy."""

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        origin = request.headers.get("origin")
        if request.method == "OPTIONS" and origin and "access-control-request-method" in request.headers:
            return _preflight(policy, request, origin)
        return _readable(policy, await inner(request), origin)

    return handle


def _readable(policy: CorsPolicy, response: Response, origin: str | None) -> Response:
    """Return a response with the origin's permission; caches keep those of different origins apart."""
    if not policy.is_open:
        response = response.varying("Origin")
    if origin is None or not policy.allows(origin):
        return response
    for name, value in _permission(policy, origin):
        response = response.with_header(name, value)
    if policy.expose:
        response = response.with_header("Access-Control-Expose-Headers", ", ".join(policy.expose))
    return response


def _preflight(policy: CorsPolicy, request: Request, origin: str) -> Response:
    """Return the response to a preflight: 204, or 403 that names the refused part."""
    method = request.headers.get("access-control-request-method") or ""
    names = request.headers.tokens("access-control-request-headers")
    vary = ("Vary", ", ".join(_ASKED))
    refused = _refusal(policy, origin, method, names)
    if refused:
        raise HTTPError(403, f"CORS: {refused} not allowed here.", headers=(vary,))
    allowed: list[Pair] = [*_permission(policy, origin), vary]
    allowed.append(("Access-Control-Allow-Methods", ", ".join(policy.methods)))
    if policy.headers:
        allowed.append(("Access-Control-Allow-Headers", ", ".join(policy.headers)))
    allowed.append(("Access-Control-Max-Age", str(policy.max_age_s)))
    return Response(204, Headers(tuple(allowed)))


def _refusal(policy: CorsPolicy, origin: str, method: str, names: Iterable[str]) -> str:
    """Return the part of a preflight that is not allowed, "" if all is."""
    if not policy.allows(origin):
        return "this origin is"
    if method not in policy.methods and method not in _SIMPLE_METHODS and "*" not in policy.methods:
        return "this method is"
    known = {name.lower() for name in policy.headers}
    return "" if "*" in known or known.issuperset(names) else "one of these headers is"


def _permission(policy: CorsPolicy, origin: str) -> tuple[Pair, ...]:
    allow = ("Access-Control-Allow-Origin", "*" if policy.is_open else origin)
    return (allow, ("Access-Control-Allow-Credentials", "true")) if policy.credentials else (allow,)
