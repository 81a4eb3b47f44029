"""Listings of folders: for eyes and for programs, in any order, escaped, and bounded."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.site_folder import body, fill, request, store
from trickleweb.errors import HTTPError
from trickleweb.files import SiteOptions, StaticSite
from trickleweb.files.listing import Entry, Order, Page, arrange, as_html, parse_order
from trickleweb.files.stamps import bounded_ns
from trickleweb.headers import Headers

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
        assert ["./" + href for href in hrefs] == [row["href"] for row in rows]
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
