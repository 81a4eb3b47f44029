"""Listings as responses: a folder's entries are sorted, then cut into pages.

A listing is kept for a second, or until its folder changes; sizes and times of files may be that old. Folders of more
than some thousand entries are scanned on a thread, so that other clients are served: `HashPending` until that is done,
and the result is kept longer, in proportion to its cost. One scan serves all orders (`scans`), and its result is kept
for any client: many orders and pages of one folder, requested at once, cost one scan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.files import disk
from trickleweb.files import listing as text
from trickleweb.files.conditional import Conditions, Precondition, Validators, judge
from trickleweb.files.digests import digest_of, strong_etag
from trickleweb.files.errors import HashPending
from trickleweb.files.folders import TooMany, entries, seen
from trickleweb.files.listing import Entry, Order, Page
from trickleweb.files.metadata import REVALIDATE
from trickleweb.files.options import SiteOptions
from trickleweb.files.paths import SafePath
from trickleweb.files.respond import NOSNIFF
from trickleweb.files.scans import Scan, Step
from trickleweb.files.stamps import SECOND_NS, FileStamp
from trickleweb.files.tree import Tree
from trickleweb.headers import Headers
from trickleweb.messages import Inline, Plan, RequestHead

_MOST_SCANS = 2
_ARRANGED_ENTRIES = 300_000  # of all folders together
_SHARED = 6  # orders of one scan share entries: each weighs a part
_RENDERED_BYTES = 4 << 20
_REUSE = 10  # a listing is kept this many times its scan's duration

_Key = tuple[str, Order]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingLimits:
    """Bounds of the entries of a listed folder."""

    quick: int = 4000  # scanned in 20 ms at most; more on a thread
    most: int = 250_000  # some 60 MB while sorting; larger folders are not listed


@dataclass(frozen=True, slots=True)
class _Arranged:
    """A folder's entries in order, as of `made_ns`; the scan took `took_ns`."""

    stamp: FileStamp
    settled: bool
    made_ns: int
    took_ns: int
    entries: tuple[Entry, ...]

    def holds(self, stamp: FileStamp, now_ns: int, quick_entries: int) -> bool:
        """Return whether the entries may be shown for a folder with that stamp."""
        age_ns, is_long = now_ns - self.made_ns, len(self.entries) > quick_entries
        if stamp != self.stamp or not self.settled:
            return is_long and 0 <= age_ns < SECOND_NS  # a scan takes longer than a change
        return 0 <= age_ns < max(SECOND_NS, _REUSE * self.took_ns)


class _Rendered(NamedTuple):
    """A page as sent, with its source."""

    arranged: _Arranged
    rows: tuple[Entry, ...]
    body: bytes
    etag: str


class Listings:
    """Makes listings; its caches may be dropped at any time."""

    def __init__(
        self,
        now_ns: Callable[[], int],
        is_settled: Callable[[FileStamp], bool],
        options: SiteOptions,
        limits: ListingLimits,
    ) -> None:
        self._now_ns = now_ns
        self._is_settled = is_settled
        self._page_entries, self._times = options.max_entries, options.times
        self._limits = limits
        self._arranged: LruCache[_Key, _Arranged] = LruCache(_ARRANGED_ENTRIES)
        self._rendered: LruCache[object, _Rendered] = LruCache(_RENDERED_BYTES)
        self._scans: dict[str, Scan] = {}  # by path

    def plan(self, folder: Tree, path: SafePath, request: RequestHead) -> Plan:
        """Return the entries of a folder, as HTML or JSON by Accept, in the order and of the page that the query asks
        for.

        Raise 404 for a page beyond the last, 403 for a folder with too many entries, `HashPending` during a scan.
        """
        order, number = text.parse_order(request.query, times=self._times), text.parse_page(request.query)
        arranged = self._arrangement(folder, path.relative, order)
        total = len(arranged.entries)
        page = Page(number, max(-(-total // self._page_entries), 1), total)
        if number > page.pages:
            raise HTTPError(404, "The listing has no such page.")
        as_json = text.wants_json(request.headers.joined("accept"))
        rendered = self._page(folder, request.path, arranged, order, page, as_json=as_json)
        links = ", ".join(f'<{href}>; rel="{rel}"' for rel, href in page.links(order).items())
        cache_fields = (("ETag", rendered.etag), ("Cache-Control", REVALIDATE), ("Vary", "Accept"))
        condition = Conditions(if_none_match=request.headers.joined("if-none-match"))
        if judge(condition, Validators(rendered.etag), now_s=self._now_ns() // SECOND_NS) is Precondition.NOT_MODIFIED:
            return Plan(304, Headers(cache_fields))
        kind = ("Content-Type", text.JSON if as_json else "text/html; charset=utf-8")
        fields = (kind, *cache_fields, *((("Link", links),) if links else ()), NOSNIFF)
        return Plan(200, Headers(fields), (Inline(rendered.body),))

    def clear(self) -> None:
        self._arranged.clear()
        self._rendered.clear()

    def _page(
        self, folder: Tree, path: str, arranged: _Arranged, order: Order, page: Page, *, as_json: bool
    ) -> _Rendered:
        key = (path, order, page, as_json)
        known = self._rendered.get(key)
        if known is not None and known.arranged is arranged:
            return known
        start = (page.number - 1) * self._page_entries
        on_page = [seen(folder, entry) for entry in arranged.entries[start : start + self._page_entries]]
        rows = tuple(entry if self._times else entry.undated() for entry in on_page if entry is not None)
        if known is not None and known.rows == rows:
            rendered = known._replace(arranged=arranged)
        else:
            body = (text.as_json if as_json else text.as_html)(path, rows, order, page)
            rendered = _Rendered(arranged, rows, body, strong_etag(digest_of(body)))
        self._rendered.put(key, rendered, 2 * len(rendered.body))
        return rendered

    def _arrangement(self, folder: Tree, path: str, order: Order) -> _Arranged:
        """Return the folder's entries in order; raise `HashPending` during a scan."""
        self._collect_scans()
        key = (path, order)
        stamp, _ = disk.look_at(folder.descriptor)
        now_ns, known = self._now_ns(), self._arranged.get(key)
        if known is not None and known.holds(stamp, now_ns, self._limits.quick):
            return known
        settled = self._is_settled(stamp)  # before the scan: later changes get a new stamp
        if (scan := self._scans.get(path)) is not None:
            if scan.is_done and scan.error is not None:
                del self._scans[path]
                self._raise(scan.error)
            raise HashPending("the folder is being scanned")
        try:
            found = text.arrange(entries(folder, self._limits.quick, detailed=order.key != "name"), order)
        except TooMany:
            self._begin(folder, path, stamp, is_settled=settled)
            raise HashPending("the folder is being scanned") from None
        arranged = _Arranged(stamp, settled, now_ns, self._now_ns() - now_ns, tuple(found))
        self._arranged.put(key, arranged, len(found) + 1)
        return arranged

    def _collect_scans(self) -> None:
        """Store the results of finished scans; a failed one waits for a request for its folder."""
        for path, scan in list(self._scans.items()):
            if scan.is_done and scan.error is None:
                del self._scans[path]
                for order, found in scan.orders.items():
                    arranged = _Arranged(scan.stamp, scan.is_settled, self._now_ns(), scan.took_ns, found)
                    self._arranged.put((path, order), arranged, len(found) // _SHARED + 1)

    def _raise(self, error: BaseException) -> NoReturn:
        if isinstance(error, TooMany):
            raise HTTPError(403, f"The folder has more than {self._limits.most} entries: too many to be listed.")
        raise error

    def _begin(self, folder: Tree, path: str, stamp: FileStamp, *, is_settled: bool) -> None:
        """Scan a long folder if there is room; failures that no request came for make some."""
        for other in [each for each, scan in self._scans.items() if scan.is_done]:
            del self._scans[other]
        if len(self._scans) < _MOST_SCANS:

            def look(step: Step) -> list[Entry]:
                return entries(folder, self._limits.most, detailed=True, step=step)

            self._scans[path] = Scan(stamp, is_settled=is_settled, now_ns=self._now_ns, look=look)
