"""The folders of an application: which file a body means, and the bytes of exactly that content."""

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

MAX_PAGE_BYTES = 1 << 20  # of a file that is no download
_OF_VERSIONS = ("accept-ranges", "etag", "last-modified")
# Fields of the very bytes that go out: only the plan, which was made from the file, knows them.
_OF_THE_PLAN = frozenset({"content-range", "content-encoding", "etag", "last-modified", "accept-ranges"})


def with_file(response: Response, plan: Plan) -> Response:
    """The response with its file; a redirect, a listing or 304 has none, and is complete."""
    made = _merged(response, plan)
    inline = [piece.data for piece in plan.pieces if isinstance(piece, Inline)]
    if len(inline) == len(plan.pieces):
        return replace(made, body=Complete(b"".join(inline)))
    return replace(made, body=Planned(plan.pieces))


def as_page(response: Response, plan: Plan, read: Callable[[str, int, int], Buffer]) -> Response:
    """A file as the page of a status that is not 200: whole, and not to be compared with any version.

    `plan` is that of a plain GET; ValueError for a file that is too long to be a page.
    """
    if plan.body_bytes > MAX_PAGE_BYTES:
        raise ValueError(f"a file of {plan.body_bytes} bytes is sent with status 200, not {response.status}")
    data = b"".join(planned_bytes(Planned(plan.pieces), read))
    made = _merged(response, plan)
    return replace(made, status=response.status, headers=made.headers.without(*_OF_VERSIONS), body=Complete(data))


def _merged(response: Response, plan: Plan) -> Response:
    """The response with the plan's status and headers; of a header in both the handler's counts, and Vary is both."""
    own = response.headers.without(*_OF_THE_PLAN)
    theirs = [pair for pair in plan.headers if pair[0].lower() == "vary" or pair[0] not in own]
    others = [pair for pair in own if pair[0].lower() != "vary"]
    made = replace(response, status=plan.status, headers=Headers((*theirs, *others)))
    return made.varying(*own.tokens("vary"))


_LOGGER = logging.getLogger("trickleweb.app")
_READ = frozenset({"GET", "HEAD"})
_REMEMBERED = 4096  # contents whose folder is known


class Hashing:
    """Works out what large files hold, on a thread; remembered in a file, if one is named, for all replicas."""

    def __init__(self, digests: str | os.PathLike[str] | None) -> None:
        self._index = None if digests is None else DigestIndex(digests)
        self._background = BackgroundHasher()

    def hasher(self) -> Hasher:
        """A hasher that leaves large files to the thread."""
        return Hasher(time.time_ns, self._index, defer=self._background.submit)

    def close(self) -> None:
        """End the thread, and let go of the file."""
        self._background.close()
        if self._index is not None:
            self._index.close()


class NoSuchFolder(WebError, LookupError):
    """A handler names a folder that the application does not have."""


class Folders:
    """Every folder by name, with what makes it faster; all of that can be dropped at any time."""

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
        """The response for a file; `HTTPError` if it is not there, `HashPending` when it is worth asking again soon."""
        try:
            plan = self.site(body.folder).plan(head if head.method in _READ else plain_get(head), f"/{body.path}")
        except HTTPError as error:
            if isinstance(error.__cause__, FilesError):
                _LOGGER.error("the file %r cannot be read now: %s", body.path, error.__cause__)
            raise
        if plan.status == 301 and not head.path.endswith(f"/{body.path}"):
            raise HTTPError(404)  # a folder is moved to its own slash; the handler that names one has another path
        content_type = plan.headers.get("content-type") or ""
        if not body.media_type or not content_type or content_type.startswith("multipart/byteranges"):
            return plan
        return replace(plan, headers=plan.headers.with_pair("Content-Type", body.media_type))

    def site(self, name: str) -> StaticSite:
        """The folder of that name; "" is the only one there is."""
        if not name and len(self._sites) == 1:
            return next(iter(self._sites.values()))
        if name not in self._sites:
            there = ", ".join(map(repr, self._sites)) or "none"
            raise NoSuchFolder(f"no folder is called {name!r}, there is {there}: app.folder(name, path)")
        return self._sites[name]

    def error_page(self, name: str, error: HTTPError) -> Response | None:
        """The folder's own page for an error (`404.html`, `50x.html`), None if it has none."""
        plan = self.site(name).error_page(error)
        if plan is None:
            return None
        try:
            pieces = [self.read(each.content, each.start, each.stop) for each in plan.pieces if isinstance(each, Slice)]
        except FilesError:
            return None
        return Response(plan.status, plan.headers, Complete(b"".join(pieces)), close=error.close)

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """The bytes [start, stop) of that content, in whichever folder it is; `ContentNotHere` if in none.

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
        raise ContentNotHere("no folder has it")

    def drop_caches(self) -> None:
        """Forget all that only makes things faster, and let go of open files."""
        self._where.clear()
        for site in self._sites.values():
            site.drop_caches()


def plain_get(head: RequestHead) -> RequestHead:
    """The request as a plain GET, for a whole file whatever was asked."""
    kept = tuple(pair for pair in head.headers if pair[0] == "accept-encoding")
    return replace(head, method="GET", headers=Headers(kept))
