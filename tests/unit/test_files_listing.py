"""Listings of folders: for eyes and for programs, in any order, escaped, and bounded."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.site_folder import LATER_NS, body, fill, request, store
from trickleweb.errors import HTTPError
from trickleweb.files import FilesUnavailable, HashPending, SiteOptions, StaticSite, listing, listings, scans
from trickleweb.files.disk import bounded_ns
from trickleweb.files.folders import TooMany, entries
from trickleweb.files.listing import Entry, Order, Page, arrange, as_html, parse_order
from trickleweb.files.listings import ListingLimits
from trickleweb.files.tree import Root, Tree
from trickleweb.headers import Headers
from trickleweb.http1 import parse_head_untrusted
from trickleweb.messages import Plan, RequestHead

ENTRIES = [
    Entry("b.txt", is_folder=False, size_bytes=5, modified_s=300),
    Entry("A.txt", is_folder=False, size_bytes=5_000_000, modified_s=100),
    Entry("z", is_folder=True, size_bytes=0, modified_s=200),
    Entry("c.txt", is_folder=False, size_bytes=1234, modified_s=200),
]
JSON = ("accept", "application/json")
OPTIONS = SiteOptions(listing=True, max_entries=3)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "z A.txt b.txt c.txt"),
        ("sort=name&order=desc", "z c.txt b.txt A.txt"),
        ("sort=size", "z b.txt c.txt A.txt"),
        ("sort=size&order=desc", "z A.txt c.txt b.txt"),
        ("sort=time&order=asc", "z A.txt c.txt b.txt"),
        ("sort=time&order=desc", "z b.txt c.txt A.txt"),
        ("sort=nothing&order=up", "z A.txt b.txt c.txt"),
    ],
)
def test_folders_first_and_then_as_asked(query: str, names: str) -> None:
    assert [entry.name for entry in arrange(ENTRIES, parse_order(query))] == names.split()


@pytest.mark.parametrize("query", ["sort=size&" * 100, "%00%ff", "&&&", "sort", "=" * 1000])
def test_a_hostile_query_sorts_by_name(query: str) -> None:
    assert parse_order(query) == Order()


def test_names_are_escaped_in_text_and_links() -> None:
    names = ["<script>.txt", "a&b", 'quote".txt', "javascript:x", "50%.txt", "?q#f", "\udcff", "a b"]
    page = as_html("/<x>/", [Entry(name, False, 1, 0) for name in names], Order(), Page()).decode()
    assert "<script>" not in page
    assert "<x>" not in page
    for link in ("./%3Cscript%3E.txt", "./a%26b", "./quote%22.txt", "./javascript%3Ax", "./50%25.txt", "./%3Fq%23f"):
        assert f'href="{link}"' in page
    assert 'href="./%FF"' in page
    assert "entries" not in page


def test_sizes_are_readable_and_the_order_can_be_turned() -> None:
    page = as_html("/", ENTRIES, Order("size"), Page(2, 3, 12)).decode()
    assert "<td>5 B</td>" in page
    assert "<td>1.2 kB</td>" in page
    assert "<td>5.0 MB</td>" in page
    assert 'href="?sort=size&amp;order=desc"' in page
    assert 'href="?sort=name&amp;order=asc"' in page
    assert "Page 2 of 3, 12 entries" in page
    assert '<a rel="prev" href="?sort=size&amp;order=asc">' in page
    assert '<a rel="next" href="?sort=size&amp;order=asc&amp;page=3">' in page
    assert "../" not in page


def test_dates_that_cannot_be_written_are_bounded() -> None:
    ends = [Entry(name, False, 1, bounded_ns(at * 10**9) // 10**9) for name, at in (("old", -(2**62)), ("new", 2**62))]
    page = as_html("/", ends, Order(), Page()).decode()
    assert "Mon, 01 Jan 0001" in page
    assert "Fri, 31 Dec 9999" in page


def test_a_folder_without_index_is_listed_where_that_is_wanted(tmp_path: Path) -> None:
    fill(tmp_path, {"d/b": b"22", "d/a": b"1", "d/.hidden": b"", "d/e/x": b""})
    files = store(tmp_path)
    folder = StaticSite(files, OPTIONS)
    plan = folder.plan(request("/d/"))
    page = body(files, plan).decode()
    assert plan.headers.get("Content-Type") == "text/html; charset=utf-8"
    assert plan.headers.get("Vary") == "Accept"
    assert page.index("e/") < page.index('"./a"') < page.index('"./b"')
    assert ".hidden" not in page
    with pytest.raises(HTTPError):
        StaticSite(files).plan(request("/d/"))


def test_below_a_mount_the_whole_path_is_shown(tmp_path: Path) -> None:
    files = store(fill(tmp_path, {"d/a": b"1"}))
    plan = StaticSite(files, OPTIONS).plan(request("/static/d/", JSON), "/d/")
    assert json.loads(body(files, plan))["path"] == "/static/d/"


def test_programs_get_json(tmp_path: Path) -> None:
    fill(tmp_path, {"d/b": b"22", "d/a": b"1", "d/e/x": b""})
    files = store(tmp_path)
    plan = StaticSite(files, OPTIONS).plan(request("/d/", JSON, query="sort=size&order=desc"))
    assert plan.headers.get("Content-Type") == "application/json"
    listing = json.loads(body(files, plan))
    assert (listing["path"], listing["complete"]) == ("/d/", True)
    assert [(entry["name"], entry["type"], entry.get("size")) for entry in listing["entries"]] == [
        ("e", "directory", None),
        ("b", "file", 2),
        ("a", "file", 1),
    ]


def test_what_is_not_on_the_page_is_on_the_next(tmp_path: Path) -> None:
    """Sorted first and cut into pages then: no entry is lost, wherever the folder has it."""
    fill(tmp_path, {f"{at}": b"x" * at for at in range(10)})
    files = store(tmp_path)
    folder = StaticSite(files, OPTIONS)
    query, names = "sort=size&order=desc", list[str]()
    for number in range(1, 5):
        plan = folder.plan(request("/", JSON, query=query))
        listing = json.loads(body(files, plan))
        assert (listing["complete"], listing["page"], listing["pages"], listing["total"]) == (False, number, 4, 10)
        names += [entry["name"] for entry in listing["entries"]]
        links = str(plan.headers.get("Link"))
        assert (f'<{listing.get("next")}>; rel="next"' in links) is (number < 4)
        assert (f'<{listing.get("prev")}>; rel="prev"' in links) is (number > 1)
        query = listing.get("next", "?").removeprefix("?")
    assert names == [str(at) for at in reversed(range(10))]
    with pytest.raises(HTTPError) as caught:
        folder.plan(request("/", JSON, query="page=5"))
    assert caught.value.status == 404


@pytest.mark.parametrize("page", ["", "0", "-1", "x", "9" * 50, "\u0662", "1&page=1"])
def test_a_page_that_is_none_is_the_first(tmp_path: Path, page: str) -> None:
    files = store(fill(tmp_path, {"a": b""}))
    assert StaticSite(files, OPTIONS).plan(request("/", JSON, query=f"page={page}")).status == 200


def test_every_name_is_listed_and_its_link_leads_to_it(tmp_path: Path) -> None:
    names = ("a\\b", "a\nb", "\udcff", "\x9f", "<b> & \u00fc", "q?#%41", "%2e%2e", "\u202egnp.exe", " ", "~", "a\x7f")
    fill(tmp_path, {**{name: name.encode("utf-8", "surrogateescape") for name in names}, ".dot": b""})
    files = store(tmp_path)
    folder = StaticSite(files, SiteOptions(listing=True))
    for order in ("name", "time"):
        rows = json.loads(body(files, folder.plan(request("/", JSON, query=f"sort={order}"))))["entries"]
        assert len(rows) == len(names)
        hrefs = re.findall(r'href="\./([^"]*)"', body(files, folder.plan(request("/", query=f"sort={order}"))).decode())
        assert ["./" + href for href in hrefs] == [row.get("href", "./" + quote(row["name"])) for row in rows]
        found = {unquote(href, errors="surrogateescape") for href in hrefs}
        assert found == set(names)
    for name in names:
        plan = folder.plan(request("/" + name))
        assert body(files, plan) == name.encode("utf-8", "surrogateescape")
    for shown in (row["name"] for row in rows):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", shown)


def test_a_listing_can_be_asked_about(tmp_path: Path) -> None:
    fill(tmp_path, {"a": b"1"})
    folder = StaticSite(store(tmp_path), OPTIONS)
    etag = str(folder.plan(request("/")).headers.get("ETag"))
    same = folder.plan(request("/", ("if-none-match", etag)))
    assert (same.status, same.pieces) == (304, ())
    assert same.headers == Headers((("ETag", etag), ("Cache-Control", "no-cache"), ("Vary", "Accept")))
    fill(tmp_path, {"b": b"2"})
    assert folder.plan(request("/", ("if-none-match", etag))).status == 200


class Counted:
    """How often folders were looked into, and pages were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = self.pages = 0
        look, render = entries, as_html

        def looked(folder: Tree, most: int, *, detailed: bool) -> list[Entry]:
            self.looks += 1
            return look(folder, most, detailed=detailed)

        def made(path: str, rows: Sequence[Entry], order: Order, page: Page) -> bytes:
            self.pages += 1
            return render(path, rows, order, page)

        monkeypatch.setattr(listings, "entries", looked)
        monkeypatch.setattr(listing, "as_html", made)


def test_a_listing_is_kept_for_a_second_or_until_its_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"a": b"1", "b": b"2"})
    clock = [LATER_NS]
    files = store(tmp_path, clock_ns=lambda: clock[0])
    folder, counted = StaticSite(files, OPTIONS), Counted(monkeypatch)
    for _ in range(5):
        first = folder.plan(request("/"))
    assert (counted.looks, counted.pages) == (1, 1)
    fill(tmp_path, {"c": b"3"})
    assert b"./c" in body(files, folder.plan(request("/")))
    assert (counted.looks, counted.pages) == (2, 2)
    clock[0] += 10**9
    assert b"./c" in body(files, folder.plan(request("/")))
    assert (counted.looks, counted.pages) == (3, 2)  # nothing is different
    (tmp_path / "c").write_bytes(b"longer")
    clock[0] += 10**9
    assert b"6 B" in body(files, folder.plan(request("/")))
    assert (counted.looks, counted.pages) == (4, 3)
    assert first != folder.plan(request("/"))


def test_a_folder_that_was_changed_a_moment_ago_is_looked_into_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"a": b"1"})
    now = tmp_path.stat().st_ctime_ns
    folder, counted = StaticSite(store(tmp_path, clock_ns=lambda: now), OPTIONS), Counted(monkeypatch)
    for _ in range(2):
        folder.plan(request("/"))
    assert counted.looks == 2


def pending(folder: StaticSite, ask: RequestHead) -> Plan:
    """The plan once a thread has looked into the folder."""
    with pytest.raises(HashPending):
        folder.plan(ask)
    looked(folder)
    return folder.plan(ask)


def looked(folder: StaticSite) -> None:
    """Wait until all looks into folders have ended."""
    for scan in folder._listings._scans.values():
        scan._thread.join(30)
        assert scan.is_done


QUICK = ListingLimits(quick=5)


@pytest.mark.parametrize("query", ["", "sort=size&order=desc"])
def test_a_long_folder_is_looked_into_on_a_thread(tmp_path: Path, query: str) -> None:
    fill(tmp_path, {f"{at}": b"x" * at for at in range(9)})
    files = store(tmp_path)
    plan = pending(StaticSite(files, OPTIONS, QUICK), request("/", JSON, query=query))
    names = [entry["name"] for entry in json.loads(body(files, plan))["entries"]]
    assert names == (["8", "7", "6"] if query else ["0", "1", "2"])


def test_all_orders_and_pages_of_a_long_folder_cost_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {f"{at}": b"x" * (at * 7 % 9) for at in range(9)} | {f"folder-{at}/a": b"" for at in range(3)})
    folder, looks = StaticSite(files := store(tmp_path), OPTIONS, QUICK), list[int]()

    def counted(tree: Tree, most: int, **rest: Any) -> list[Entry]:
        looks.append(most)
        return entries(tree, most, **rest)

    monkeypatch.setattr(listings, "entries", counted)
    pending(folder, request("/", JSON))
    for key in ("name", "size", "time"):
        for order in ("asc", "desc"):
            names = list[str]()
            for page in range(1, 5):
                plan = folder.plan(request("/", JSON, query=f"sort={key}&order={order}&page={page}"))
                names += [entry["name"] for entry in json.loads(body(files, plan))["entries"]]
            found = arrange(entries(Root(tmp_path).tree(), 20, detailed=True), Order(key, order == "desc"))
            assert names == [entry.name for entry in found]
    assert looks == [QUICK.quick, QUICK.most]


@given(st.lists(st.integers(0, 3000), unique=True, max_size=3000), st.integers(1, 50))
@settings(max_examples=15)
def test_orders_made_in_steps_are_those_made_at_once(numbers: list[int], run: int) -> None:
    found = [Entry(f"{at}", at % 5 == 0, at % 7, at % 3) for at in numbers]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scans, "_RUN", run)
        made = scans.all_orders(found, lambda: None)
    assert len(made) == 6
    for order, arranged in made.items():
        assert list(arranged) == arrange(found, order)


def test_a_thread_that_fails_is_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {f"{at}": b"" for at in range(9)})
    folder = StaticSite(store(tmp_path), OPTIONS, QUICK)
    for error in (FilesUnavailable("an I/O error", 5), ValueError("odd")):

        def failing(_tree: Tree, most: int, *, detailed: bool, error: Exception = error, **_: object) -> list[Entry]:
            raise TooMany if most == 5 else error

        monkeypatch.setattr(listings, "entries", failing)
        with pytest.raises((HTTPError, ValueError)) as caught:
            pending(folder, request("/"))
        assert getattr(caught.value, "status", 500) == (503 if isinstance(error, FilesUnavailable) else 500)


def test_too_long_a_folder_is_refused_and_holds_nothing_up(tmp_path: Path) -> None:
    for name, count in (("long", 4), ("a", 3), ("b", 3), ("c", 3), ("d", 3)):
        fill(tmp_path / name, {str(at): b"" for at in range(count)})
    folder = StaticSite(store(tmp_path), OPTIONS, ListingLimits(quick=2, most=3))
    with pytest.raises(HTTPError) as caught:
        pending(folder, request("/long/"))
    assert caught.value.status == 403
    for name in "abcd":  # two at a time; those that nobody comes back for make room
        with pytest.raises(HashPending):
            folder.plan(request(f"/{name}/"))
        looked(folder)
    assert folder.plan(request("/d/")).status == 200


def test_names_of_any_bytes_are_asked_for_by_their_bytes(tmp_path: Path) -> None:
    """As they come in: percent-encoded, in a target that the parser reads."""
    fill(tmp_path, {"\udcff\udcfe": b"1", "caf\udce9/\udcff": b"2", "\ufffd": b"3", "a\\b?#%": b"4"})
    files = store(tmp_path)
    folder = StaticSite(files, OPTIONS)
    for target, data in (("/%FF%FE", b"1"), ("/caf%E9/%ff", b"2"), ("/%EF%BF%BD", b"3"), ("/a%5Cb%3F%23%25", b"4")):
        asked = parse_head_untrusted(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert isinstance(asked, RequestHead)
        assert body(files, folder.plan(asked)) == data
        below = replace(asked, path="/static" + asked.path, raw_path="/static" + asked.raw_path)
        assert body(files, folder.plan(below, asked.path)) == data
    moved = parse_head_untrusted(b"GET /caf%E9 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert isinstance(moved, RequestHead)
    assert folder.plan(moved).headers.get("Location") == "/caf%E9/"
    for target in ("/%FF", "/caf%E9/%2f%FF%FE", "/%EF%BF%BD%EF%BF%BD"):
        asked = parse_head_untrusted(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert isinstance(asked, RequestHead)
        with pytest.raises(HTTPError) as caught:
            folder.plan(asked)
        assert caught.value.status == 404
