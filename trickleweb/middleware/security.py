"""Security headers for browsers, on every response that does not set them itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from trickleweb.handlers import Handler, Middleware, middleware
from trickleweb.http1.render import render_field
from trickleweb.request import Request
from trickleweb.responses import Response

DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Content-Security-Policy": "default-src 'self'; base-uri 'self'; frame-ancestors 'none'; object-src 'none'",
    }
)


def security_headers(changes: Mapping[str, str | None] | None = None, *, hsts_max_age_s: int = 0) -> Middleware:
    """Add `DEFAULTS` with `changes`: other values, or None to leave one out; HSTS for https, if its age is given.

    Raise `UnsafeHeader` for values that cannot be sent.
    """
    merged = {**DEFAULTS, **(changes or {})}
    fields = [(name, value) for name, value in merged.items() if value is not None]
    for name, value in fields:
        render_field(name, value)
    hsts = ("Strict-Transport-Security", f"max-age={hsts_max_age_s}; includeSubDomains")

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        response = await inner(request)
        wanted = [*fields, hsts] if hsts_max_age_s and request.scheme == "https" else fields
        missing = [(name, value) for name, value in wanted if name not in response.headers]
        return replace(response, headers=response.headers.added(*missing))

    return handle
