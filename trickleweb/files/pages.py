"""The responses of a site that are no file's: redirects, listings, error pages, and other methods."""

from __future__ import annotations

from trickleweb.errors import HTTPError
from trickleweb.files import listing as text
from trickleweb.files.cachecontrol import REVALIDATE
from trickleweb.files.conditional import Conditions, Validators, Verdict, judge
from trickleweb.files.contents import strong_etag
from trickleweb.files.digests import digest_of
from trickleweb.files.errors import FilesError
from trickleweb.files.mime import media_type
from trickleweb.files.paths import SafePath
from trickleweb.files.respond import NOSNIFF
from trickleweb.files.store import FileStore, Version
from trickleweb.headers import Headers
from trickleweb.messages import Inline, Plan, Request, Slice

_ALLOW = ("Allow", "GET, HEAD, OPTIONS")
_UNCACHED = ("Cache-Control", REVALIDATE)


def other_method(method: str) -> Plan:
    """The response to OPTIONS; `HTTPError` 405 for every other method that is neither GET nor HEAD."""
    if method != "OPTIONS":
        raise HTTPError(405, headers=(_ALLOW,))
    return Plan(204, Headers((_ALLOW,)))


def redirect(target: str) -> Plan:
    """301 to `target`; asked about each time, since the folder may become a file."""
    return Plan(301, Headers((("Location", target), _UNCACHED)))


def listing(store: FileStore, path: SafePath, request: Request, *, max_entries: int) -> Plan:
    """The folder's entries, as HTML or JSON by Accept, in the order that the query asks for."""
    entries, complete = store.entries(path.relative, max_entries)
    order = text.parse_order(request.query)
    arranged = text.arrange(entries, order)
    if text.wants_json(request.headers.joined("accept")):
        body, content_type = text.as_json(request.path, arranged, complete=complete), text.JSON
    else:
        body, content_type = text.as_html(request.path, arranged, order, complete=complete), "text/html; charset=utf-8"
    etag = strong_etag(digest_of(body))
    cache_fields = (("ETag", etag), _UNCACHED, ("Vary", "Accept"))
    condition = Conditions(if_none_match=request.headers.joined("if-none-match"))
    if judge(condition, Validators(etag), now_s=store.now_s()) is Verdict.NOT_MODIFIED:
        return Plan(304, Headers(cache_fields))
    return Plan(200, Headers((("Content-Type", content_type), *cache_fields, NOSNIFF)), (Inline(body),))


def error_page(store: FileStore, error: HTTPError) -> Plan | None:
    """The response for an error with the site's own page for it (`404.html`, `50x.html`), None if there is none."""
    for name in (f"{error.status}.html", f"{error.status // 10}x.html"):
        try:
            found = store.look(name)
        except FilesError:
            continue
        if isinstance(found, Version) and found.stamp.size_bytes:
            fields = (("Content-Type", media_type(name)), NOSNIFF, ("Cache-Control", "no-store"), *error.headers)
            return Plan(error.status, Headers(fields), (Slice(found.content, 0, found.stamp.size_bytes),))
    return None
