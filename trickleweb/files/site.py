"""A folder as a web site: plan the response to any request."""

from __future__ import annotations

from dataclasses import replace

from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.files.errors import FilesError, FilesUnavailable, NoSuchFile, Unreadable
from trickleweb.files.listings import ListingLimits, Listings
from trickleweb.files.metadata import REVALIDATE, media_type
from trickleweb.files.options import SiteOptions
from trickleweb.files.paths import SafePath, location, safe_path, split_path
from trickleweb.files.qvalues import preferences
from trickleweb.files.resolve import Place, Resolved, resolve
from trickleweb.files.respond import NOSNIFF, Ask, ask_of, is_ahead, respond
from trickleweb.files.store import Buffer, FileStore, FoundFolder, Version
from trickleweb.files.tree import Tree
from trickleweb.headers import Headers
from trickleweb.messages import Plan, RequestHead, Slice

_RESOURCES = 4096  # remembered, by path
_PLANS = 4096  # remembered responses
_MAX_ASK_CHARS = 512  # longer fields come from no browser: not remembered
_ALLOW = ("Allow", "GET, HEAD, OPTIONS")
_FALLBACK = ""  # the key of the fallback page among the paths, which begin with a slash


class StaticSite:
    """Plans responses from a folder's files; its caches can be dropped at any time, and are checked before use."""

    def __init__(
        self, store: FileStore, options: SiteOptions | None = None, listing_limits: ListingLimits | None = None
    ) -> None:
        self._store = store
        self._options = options or SiteOptions()
        self._resources: LruCache[str, Resolved] = LruCache(_RESOURCES)
        self._plans: LruCache[tuple[str, Ask], tuple[Resolved, Plan]] = LruCache(_PLANS)
        self._listings = Listings(store.now_ns, store.is_settled, self._options, listing_limits or ListingLimits())

    def plan(self, request: RequestHead, path: str | None = None) -> Plan:
        """Return the response to a request; `path` is the part of its path below a mount, else all of it.

        Raise `HTTPError` for refused or absent files, 503 where the system fails; `HashPending` if the file was written
        a moment ago: ask again soon.
        """
        if request.method not in {"GET", "HEAD"}:
            return _other_method(request.method)
        above, inner = split_path(request, path)
        resolved = self._remembered(inner)
        if resolved is not None:
            return self._answer(inner, resolved, request)
        try:
            return self._store.retried(lambda tree: self._planned(request, above, inner, tree))
        except FilesUnavailable as error:
            raise HTTPError(503, "The file cannot be read.", headers=(("Retry-After", "1"),)) from error

    def error_page(self, error: HTTPError) -> Plan | None:
        """Return the site's own page for an error (`404.html`, `50x.html`), None if it has none."""
        for name in (f"{error.status}.html", f"{error.status // 10}x.html"):
            try:
                found = self._store.look(name)
            except FilesError:
                continue
            if isinstance(found, Version) and found.stamp.size_bytes:
                fields = (("Content-Type", media_type(name)), NOSNIFF, ("Cache-Control", "no-store"), *error.headers)
                return Plan(error.status, Headers(fields), (Slice(found.content, 0, found.stamp.size_bytes),))
        return None

    def read(self, content: str, start: int, stop: int) -> Buffer:
        return self._store.read(content, start, stop)

    def strong_name(self, content: str) -> str | None:
        return self._store.strong_name(content)

    def drop_caches(self) -> None:
        self._resources.clear()
        self._plans.clear()
        self._listings.clear()
        self._store.drop_caches()

    def _planned(self, request: RequestHead, above: str, inner: str, tree: Tree) -> Plan:
        """Return the response to a path that is new, or has changed."""
        path = safe_path(inner)
        try:
            found = self._resolved(Place.of(tree, path.relative))
            if _canonical(path, found) != inner:
                target = location(above, path, request.query, folder=isinstance(found, FoundFolder))
                return Plan(301, Headers((("Location", target), ("Cache-Control", REVALIDATE))))  # it may change again
            if isinstance(found, FoundFolder):
                return self._folder(request, inner, path, tree)
            return self._answer(inner, self._remember(inner, found), request)
        except NoSuchFile:
            return self._missing(request, path, tree)
        except Unreadable:
            raise HTTPError(403) from None

    def _resolved(self, place: Place) -> Resolved | FoundFolder:
        found = resolve(self._store, place, self._options)
        if self._options.times or isinstance(found, FoundFolder):
            return found
        return replace(found, resource=found.resource.undated())

    def _file(self, place: Place) -> Resolved:
        """Return the file at a place; raise `NoSuchFile` for a folder."""
        found = self._resolved(place)
        if isinstance(found, FoundFolder):
            raise NoSuchFile("a folder")
        return found

    def _folder(self, request: RequestHead, inner: str, path: SafePath, tree: Tree) -> Plan:
        """Return the folder's first index page, or its listing if enabled."""
        missed: list[str] = []
        folder = tree.folder(path.relative)
        for name in self._options.index:
            place = Place.of_name(path.relative, folder, name)
            try:
                resolved = self._file(place)
            except NoSuchFile:
                missed.append(place.path)
                continue
            resolved = replace(resolved, absent=(*resolved.absent, *missed))
            return self._answer(inner, self._remember(inner, resolved), request)
        if not self._options.listing:
            raise NoSuchFile("a folder without index")
        return self._listings.plan(folder, path, request)

    def _missing(self, request: RequestHead, path: SafePath, tree: Tree) -> Plan:
        """Return the fallback page for a navigation; raise 404 for other requests and for assets."""
        if not self._options.fallback or "." in path.relative.rpartition("/")[2]:
            raise HTTPError(404)
        if not _is_navigation(request.headers):
            raise HTTPError(404, headers=(("Vary", "Accept"),))
        resolved = self._remembered(_FALLBACK)
        if resolved is None:
            try:
                resolved = self._file(Place.of(tree, self._options.fallback))
            except NoSuchFile:
                raise HTTPError(404) from None
            resolved = replace(resolved, resource=replace(resolved.resource, vary="Accept"))
        return self._answer(_FALLBACK, self._remember(_FALLBACK, resolved), request)

    def _answer(self, key: str, resolved: Resolved, request: RequestHead) -> Plan:
        ask = ask_of(request.method, request.headers)
        known = self._plans.get((key, ask))
        if known is not None and known[0] is resolved:
            return known[1]
        now_s = self._store.now_s()
        plan = respond(resolved.resource, ask, now_s=now_s, max_parts=self._options.max_parts)
        if sum(map(len, filter(None, ask))) <= _MAX_ASK_CHARS and not is_ahead(resolved.resource, now_s):
            self._plans.put((key, ask), (resolved, plan))
        return plan

    def _remembered(self, key: str) -> Resolved | None:
        resolved = self._resources.get(key)
        return resolved if resolved is not None and resolved.holds(self._store.root_path) else None

    def _remember(self, key: str, resolved: Resolved) -> Resolved:
        if resolved.lasting:
            self._resources.put(key, resolved)
        else:
            self._resources.drop(key)
        return resolved


def _canonical(path: SafePath, found: object) -> str:
    """Return the canonical path: no empty names, and a slash at the end of folders; raise `NoSuchFile` for file/."""
    if not isinstance(found, FoundFolder):
        if path.slash:
            raise NoSuchFile("a file is no folder")
        return "/" + path.relative
    return f"/{path.relative}/" if path.names else "/"


def _is_navigation(headers: Headers) -> bool:
    """Return whether a browser navigates: it asks for text/html, as requests for scripts, styles and data do not."""
    return preferences(headers.joined("accept") or "").get("text/html", 0) > 0


def _other_method(method: str) -> Plan:
    if method != "OPTIONS":
        raise HTTPError(405, headers=(_ALLOW,))
    return Plan(204, Headers((_ALLOW,)))
