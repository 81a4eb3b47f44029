"""Host checks: a foreign Host must not reach links, mails and caches."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trickleweb.errors import HTTPError
from trickleweb.handlers import Handler, Middleware, middleware
from trickleweb.request import Request
from trickleweb.responses import Response

_PORT = re.compile(r":[0-9]*$")
_PATTERN = re.compile(r"(?:\*\.)?[a-z0-9._~%-]+|\[[0-9a-f:.]+\]|\*")


def trusted_hosts(*patterns: str) -> Middleware:
    """Answer 421 for any host but these: `example.org`, `*.example.org` for its subdomains, `*` for all.

    Ports do not count. ValueError for a pattern that no host could match.
    """
    trusts = HostPatterns(patterns)

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        if request.host not in trusts:
            raise HTTPError(421, "This server does not serve that host.")
        return await inner(request)

    return handle


class HostPatterns:
    """A set of hosts: exact names, and subdomains of some."""

    def __init__(self, patterns: Iterable[str]) -> None:
        lowered = [pattern.lower() for pattern in patterns]
        bad = [pattern for pattern in lowered if not _PATTERN.fullmatch(pattern)]
        if bad or not lowered:
            raise ValueError(f"invalid host pattern: {', '.join(bad) or 'none at all'}")
        self._any = "*" in lowered
        self._exact = frozenset(lowered)
        self._below = tuple(pattern[1:] for pattern in lowered if pattern.startswith("*."))

    def __contains__(self, host: object) -> bool:
        name = _PORT.sub("", host).lower().removesuffix(".") if isinstance(host, str) else ""
        return self._any or name in self._exact or name.endswith(self._below)
