"""Folders of an application: plan the response of a file body, and read the bytes of a named content."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from trickles.service import Buffer
from trickleweb.app.routes import Folder
from trickleweb.bodies import Complete, FileBody, Planned
from trickleweb.bodies.iteration import planned_bytes
from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError, WebError
from trickleweb.files import (
    BackgroundHasher,
    ContentNotHere,
    DigestIndex,
    FilesError,
    FileStore,
    Hasher,
    OpenFiles,
    StaticSite,
    StoreLimits,
)
from trickleweb.headers import Headers
from trickleweb.messages import Inline, Plan, RequestHead, Slice
from trickleweb.responses import Response

MAX_PAGE_BYTES = 1 << 20  # of a file used as an error page or another page that is not 200
_OF_VERSIONS = ("accept-ranges", "etag", "last-modified")
# Fields of the bytes as sent: the plan's, which was made from the file, count.
_OF_THE_PLAN = frozenset({"content-range", "content-encoding", "etag", "last-modified", "accept-ranges"})


def with_file(response: Response, plan: Plan) -> Response:
    """Return the response with its file; a redirect, a listing or 304 has none, and is complete."""
    made = _merged(response, plan)
    inline = [piece.data for piece in plan.pieces if isinstance(piece, Inline)]
    if len(inline) == len(plan.pieces):
        return replace(made, body=Complete(b"".join(inline)))
    return replace(made, body=Planned(plan.pieces))


def as_page(response: Response, plan: Plan, read: Callable[[str, int, int], Buffer]) -> Response:
    """Return a file as the whole page of a status that is not 200, without validators.

    `plan` is that of a plain GET. ValueError for a file too long to be a page.
    """
    if plan.body_bytes > MAX_PAGE_BYTES:
        raise ValueError(f"a file of {plan.body_bytes} bytes is sent with status 200, not {response.status}")
    data = b"".join(planned_bytes(Planned(plan.pieces), read))
    made = _merged(response, plan)
    return replace(made, status=response.status, headers=made.headers.without(*_OF_VERSIONS), body=Complete(data))


def _merged(response: Response, plan: Plan) -> Response:
    """Return the response with the plan's status and headers; the handler's fields win, and Vary is the union of
    both.
    """
    own = response.headers.without(*_OF_THE_PLAN)
    theirs = [pair for pair in plan.headers if pair[0].lower() == "vary" or pair[0] not in own]
    others = [pair for pair in own if pair[0].lower() != "vary"]
    made = replace(response, status=plan.status, headers=Headers((*theirs, *others)))
    return made.varying(*own.tokens("vary"))


_LOGGER = logging.getLogger("trickleweb.app")
_READ = frozenset({"GET", "HEAD"})
_REMEMBERED = 4096  # cached: content to folder


class Hashing:
    """Hashes large files on a thread; a digest file, if named, shares the hashes among replicas."""

    def __init__(self, digests: str | os.PathLike[str] | None) -> None:
        self._index = None if digests is None else DigestIndex(digests)
        self._background = BackgroundHasher()

    def hasher(self) -> Hasher:
        return Hasher(time.time_ns, self._index, defer=self._background.submit)

    def close(self) -> None:
        self._background.close()
        if self._index is not None:
            self._index.close()


class NoSuchFolder(WebError, LookupError):
    """A handler names a folder that the application does not have."""


class Folders:
    """All folders of an application by name, with their caches, which can be dropped at any time."""

    def __init__(self, folders: Iterable[Folder], hasher: Hasher) -> None:
        self._stores: dict[str, FileStore] = {}
        self._sites: dict[str, StaticSite] = {}
        self._where: LruCache[str, FileStore] = LruCache(_REMEMBERED)
        limits = StoreLimits()
        open_files = OpenFiles(limits.descriptors)  # one bound for all: the process has only so many descriptors
        for folder in folders:
            if folder.name in self._stores:
                raise NoSuchFolder(f"two folders are called {folder.name!r}")
            self._stores[folder.name] = FileStore(folder.path, hasher, limits, open_files)
            self._sites[folder.name] = StaticSite(self._stores[folder.name], folder.options)

    def plan(self, body: FileBody, head: RequestHead) -> Plan:
        """Return the response for a file; raise `HTTPError` if it is missing, `HashPending` when it is worth retrying
        soon.
        """
        try:
            plan = self.site(body.folder).plan(head if head.method in _READ else plain_get(head), f"/{body.path}")
        except HTTPError as error:
            if isinstance(error.__cause__, FilesError):
                _LOGGER.error("the file %r cannot be read: %s", body.path, error.__cause__)
            raise
        if plan.status == 301 and not head.path.endswith(f"/{body.path}"):
            raise HTTPError(404)  # the redirect adds a slash to the request's path, which is another than the folder's
        content_type = plan.headers.get("content-type") or ""
        if not body.media_type or not content_type or content_type.startswith("multipart/byteranges"):
            return plan
        return plan._replace(headers=plan.headers.with_pair("Content-Type", body.media_type))

    def site(self, name: str) -> StaticSite:
        """Return the folder of that name; "" means the only one."""
        if not name and len(self._sites) == 1:
            return next(iter(self._sites.values()))
        if name not in self._sites:
            there = ", ".join(map(repr, self._sites)) or "none"
            raise NoSuchFolder(f"no folder is called {name!r}, there is {there}: app.folder(name, path)")
        return self._sites[name]

    def error_page(self, name: str, error: HTTPError) -> Response | None:
        """Return the folder's own page for an error (`404.html`, `50x.html`), None if it has none."""
        plan = self.site(name).error_page(error)
        if plan is None:
            return None
        try:
            pieces = [self.read(each.content, each.start, each.stop) for each in plan.pieces if isinstance(each, Slice)]
        except FilesError:
            return None
        return Response(plan.status, plan.headers, Complete(b"".join(pieces)), close=error.close)

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """Return the bytes [start, stop) of that content from the folder that has it; raise `ContentNotHere` if none
        has.

        A content's name holds its hash, so that no folder can give other bytes for it.
        """
        known = self._where.get(content)
        for store in (known, *self._stores.values()) if known else self._stores.values():
            try:
                data = store.read(content, start, stop)
            except ContentNotHere:
                continue
            if store is not known:
                self._where.put(content, store)
            return data
        raise ContentNotHere("in no folder")

    def drop_caches(self) -> None:
        self._where.clear()
        for site in self._sites.values():
            site.drop_caches()


def plain_get(head: RequestHead) -> RequestHead:
    """Return the request as a plain GET for the whole file: without range and conditions."""
    kept = tuple(pair for pair in head.headers if pair[0] == "accept-encoding")
    return replace(head, method="GET", headers=Headers(kept))
