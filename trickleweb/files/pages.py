"""Responses of a site without a requested file: redirects, error pages, other methods."""

from __future__ import annotations

from trickleweb.errors import HTTPError
from trickleweb.files.errors import FilesError
from trickleweb.files.mime import media_type
from trickleweb.files.options import REVALIDATE
from trickleweb.files.respond import NOSNIFF
from trickleweb.files.store import FileStore, Version
from trickleweb.headers import Headers
from trickleweb.messages import Plan, Slice

_ALLOW = ("Allow", "GET, HEAD, OPTIONS")
_UNCACHED = ("Cache-Control", REVALIDATE)


def other_method(method: str) -> Plan:
    """Return the response to OPTIONS; raise `HTTPError` 405 for other methods than GET and HEAD."""
    if method != "OPTIONS":
        raise HTTPError(405, headers=(_ALLOW,))
    return Plan(204, Headers((_ALLOW,)))


def redirect(target: str) -> Plan:
    """Return 301 to `target`, to be revalidated each time, since the folder may become a file."""
    return Plan(301, Headers((("Location", target), _UNCACHED)))


def error_page(store: FileStore, error: HTTPError) -> Plan | None:
    """Return the site's own page for an error (`404.html`, `50x.html`), None if there is none."""
    for name in (f"{error.status}.html", f"{error.status // 10}x.html"):
        try:
            found = store.look(name)
        except FilesError:
            continue
        if isinstance(found, Version) and found.stamp.size_bytes:
            fields = (("Content-Type", media_type(name)), NOSNIFF, ("Cache-Control", "no-store"), *error.headers)
            return Plan(error.status, Headers(fields), (Slice(found.content, 0, found.stamp.size_bytes),))
    return None
