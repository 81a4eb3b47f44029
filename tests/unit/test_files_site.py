"""A folder as a site: indexes, redirects, fallback pages, error pages, siblings, and what is never served."""

import errno
import gzip
from dataclasses import replace as changed
from pathlib import Path

import pytest

from tests.support.site_folder import (
    LATER_NS,
    MODIFIED_S,
    body,
    fill,
    freeze_stamps,
    packed,
    refuse,
    replace,
    request,
    site,
    store,
    write,
)
from trickleweb.errors import HTTPError
from trickleweb.files import CacheRule, SiteOptions, StaticSite, StoreLimits
from trickleweb.files.digests import digest_of, strong_etag
from trickleweb.files.hashing import HashJob
from trickleweb.headers import Headers, format_date
from trickleweb.messages import Plan
from trickleweb.server.tokens.plan import decode_plan, encode_plan

HTML = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
TREE = {
    "index.html": b"<h1>home</h1>",
    "style.css": b"body{}",
    "app.3f2a9c1b.js": b"let x = 1" * 100,
    "docs/index.html": b"<h1>docs</h1>",
    "docs/page.html": b"<h1>page</h1>",
    "empty/.keep": b"",
    ".env": b"SECRET=1",
    ".well-known/security.txt": b"Contact: me",
}


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    return fill(tmp_path / "root", TREE)


def refused(folder: StaticSite, path: str, *headers: tuple[str, str], method: str = "GET") -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        folder.plan(request(path, *headers, method=method))
    return caught.value


@pytest.mark.parametrize(
    ("path", "file", "content_type"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/index.html", "index.html", "text/html; charset=utf-8"),
        ("/style.css", "style.css", "text/css; charset=utf-8"),
        ("/docs/", "docs/index.html", "text/html; charset=utf-8"),
        ("/docs/page.html", "docs/page.html", "text/html; charset=utf-8"),
        ("/.well-known/security.txt", ".well-known/security.txt", "text/plain; charset=utf-8"),
    ],
)
def test_what_is_served(root: Path, path: str, file: str, content_type: str) -> None:
    files = store(root)
    folder = StaticSite(files)
    for _ in range(2):
        plan = folder.plan(request(path))
        assert (plan.status, body(files, plan)) == (200, TREE[file])
        assert plan.headers.get("Content-Type") == content_type
        assert plan.headers.get("X-Content-Type-Options") == "nosniff"
        assert plan.headers.get("Last-Modified") == "Sun, 09 Sep 2001 01:46:40 GMT"
        assert decode_plan(encode_plan(plan)) == plan


@pytest.mark.parametrize(
    "path", ["/absent", "/absent/", "/style.css/", "/style.css/x", "/empty/", "/.env", "/docs/../.env", "/x" * 200]
)
def test_what_is_not(root: Path, path: str) -> None:
    assert refused(site(root), path).status == 404


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/docs", "", "/docs/"),
        ("/docs", "a=1&b=//x", "/docs/?a=1&b=//x"),
        ("//docs", "", "/docs/"),
        ("//docs/", "", "/docs/"),
        ("//", "", "/"),
        ("/docs//page.html", "x", "/docs/page.html?x"),
        ("/empty", "", "/empty/"),
    ],
)
def test_every_file_has_one_path(root: Path, path: str, query: str, location: str) -> None:
    plan = site(root).plan(request(path, query=query))
    assert (plan.status, plan.headers.get("Location"), plan.pieces) == (301, location, ())


def test_redirects_below_a_mount_keep_its_prefix(root: Path) -> None:
    plan = site(root).plan(request("/static/docs"), "/docs")
    assert plan.headers.get("Location") == "/static/docs/"
    assert site(root).plan(request("/static/docs/"), "/docs/").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "BREW"])
def test_other_methods_are_refused_and_told_which_are_not(root: Path, method: str) -> None:
    error = refused(site(root), "/", method=method)
    assert (error.status, error.headers) == (405, (("Allow", "GET, HEAD, OPTIONS"),))


def test_options_tells_the_methods(root: Path) -> None:
    for path in ("/", "*", "/absent"):
        plan = site(root).plan(request(path, method="OPTIONS"))
        assert plan == Plan(204, Headers((("Allow", "GET, HEAD, OPTIONS"),)))


def test_head_is_as_get(root: Path) -> None:
    folder = site(root)
    assert folder.plan(request("/", method="HEAD")) == folder.plan(request("/"))


def test_the_first_index_that_is_there(root: Path) -> None:
    files = store(root)
    folder = StaticSite(files, SiteOptions(index=("start.html", "index.html")))
    assert body(files, folder.plan(request("/"))) == TREE["index.html"]
    write(root / "start.html", b"start")
    assert body(files, folder.plan(request("/"))) == b"start"
    (root / "start.html").unlink()
    assert body(files, folder.plan(request("/"))) == TREE["index.html"]


def test_cache_control(root: Path) -> None:
    folder = site(root, SiteOptions(cache_rules=(CacheRule("docs/*", "max-age=60"),)))
    for path, value in {
        "/": "no-cache",
        "/app.3f2a9c1b.js": "public, max-age=31536000, immutable",
        "/docs/page.html": "max-age=60",
        "/docs/": "max-age=60",
    }.items():
        assert folder.plan(request(path)).headers.get("Cache-Control") == value


def test_changes_on_the_disk_are_seen_at_once(root: Path) -> None:
    files = store(root)
    folder = StaticSite(files)
    before = folder.plan(request("/style.css"))
    replace(root / "style.css", b"p{}")
    after = folder.plan(request("/style.css"))
    assert (body(files, before), body(files, after)) == (b"body{}", b"p{}")
    assert before.headers.get("ETag") != after.headers.get("ETag")
    (root / "style.css").unlink()
    assert refused(folder, "/style.css").status == 404
    write(root / "style.css" / "index.html", b"now a folder")
    assert folder.plan(request("/style.css")).status == 301
    assert body(files, folder.plan(request("/style.css/"))) == b"now a folder"


@pytest.mark.parametrize("written", ["style.css", "style.css.gz"])
def test_a_file_written_twice_within_one_tick_is_seen_too(
    root: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    write(root / "style.css", b"-" * 999)
    freeze_stamps(monkeypatch, LATER_NS + 1, written)
    files = store(root, clock_ns=lambda: LATER_NS + 10_000_000)
    folder = StaticSite(files)
    for letter in (b"a", b"b", b"c"):
        text = packed(letter * 999) if written.endswith(".gz") else letter * 999
        (root / written).write_bytes(text)
        assert body(files, folder.plan(request("/style.css", ("accept-encoding", "gzip")))) == text


def test_replicas_plan_the_same(root: Path, tmp_path: Path) -> None:
    copy = fill(tmp_path / "copy", TREE)
    for path in ("/", "/docs", "/app.3f2a9c1b.js"):
        ask = request(path, ("range", "bytes=0-1,3-4"))
        assert encode_plan(site(root).plan(ask)) == encode_plan(site(copy).plan(ask))


def test_compressed_siblings(root: Path) -> None:
    packed_script = packed(TREE["app.3f2a9c1b.js"])
    fill(
        root, {"app.3f2a9c1b.js.gz": packed_script, "app.3f2a9c1b.js.br": b"brotli", "style.css.zst": b"longer than it"}
    )
    files = store(root)
    folder = StaticSite(files)
    plan = folder.plan(request("/app.3f2a9c1b.js", ("accept-encoding", "gzip, br")))
    assert (plan.headers.get("Content-Encoding"), body(files, plan)) == ("br", b"brotli")
    assert plan.headers.get("Content-Type") == "text/javascript; charset=utf-8"
    assert plan.headers.get("Vary") == "Accept-Encoding"
    assert str(plan.headers.get("ETag")).endswith('-br"')
    assert body(files, folder.plan(request("/app.3f2a9c1b.js"))) == TREE["app.3f2a9c1b.js"]
    assert body(files, folder.plan(request("/style.css", ("accept-encoding", "zstd")))) == TREE["style.css"]


def test_siblings_that_come_go_or_grow_old_are_noticed(root: Path) -> None:
    files = store(root)
    folder = StaticSite(files)
    ask = request("/app.3f2a9c1b.js", ("accept-encoding", "gzip"))

    def answer() -> bytes:
        return body(files, folder.plan(ask))

    assert answer() == TREE["app.3f2a9c1b.js"]
    one, other = (gzip.compress(TREE["app.3f2a9c1b.js"], level, mtime=0) for level in (1, 9))
    sibling = write(root / "app.3f2a9c1b.js.gz", one)
    assert answer() == one
    write(sibling, other)
    assert answer() == other
    write(root / "app.3f2a9c1b.js", b"another program" * 60, MODIFIED_S + 1)
    assert answer() == b"another program" * 60
    write(sibling, packed(b"another program" * 60), MODIFIED_S + 1)
    assert answer() == packed(b"another program" * 60)
    sibling.unlink()
    assert answer() == b"another program" * 60


def test_siblings_are_wanted_codings_only(root: Path) -> None:
    write(root / "style.css.gz", b"x")
    plan = site(root, SiteOptions(precompressed=())).plan(request("/style.css", ("accept-encoding", "gzip")))
    assert "Vary" not in plan.headers
    assert "Content-Encoding" not in plan.headers


def test_a_sibling_that_is_no_file_is_passed_over(root: Path) -> None:
    write(root / "style.css.gz" / "x", b"")
    (root / "style.css.br").symlink_to("/etc/hostname")
    plan = site(root).plan(request("/style.css", ("accept-encoding", "gzip, br")))
    assert "Content-Encoding" not in plan.headers


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/users/7", HTML, 200),
        ("/users/", HTML, 200),
        ("/deep/er/route", HTML, 200),
        ("/users/7", ("accept", "*/*"), 404),
        ("/users/7", ("accept", "application/json"), 404),
        ("/users/7", ("accept", "text/html;q=0"), 404),
        ("/assets/gone.js", HTML, 404),
        ("/assets/gone.3f2a9c1b.css", HTML, 404),
        ("/style.css/", HTML, 404),
        ("/favicon.ico", HTML, 404),
        ("/.env", HTML, 404),
    ],
)
def test_the_fallback_is_for_navigation_only(root: Path, path: str, accept: tuple[str, str], status: int) -> None:
    files = store(root)
    folder = StaticSite(files, SiteOptions(fallback="index.html"))
    if status == 200:
        plan = folder.plan(request(path, accept))
        assert (plan.status, body(files, plan)) == (200, TREE["index.html"])
        assert plan.headers.get("Vary") == "Accept"
    else:
        assert refused(folder, path, accept).status == 404


def test_the_fallback_gives_way_to_a_file_and_follows_its_page(root: Path) -> None:
    files = store(root)
    folder = StaticSite(files, SiteOptions(fallback="index.html"))
    assert body(files, folder.plan(request("/route", HTML))) == TREE["index.html"]
    write(root / "index.html", b"<h1>new</h1>", MODIFIED_S + 1)
    assert body(files, folder.plan(request("/route", HTML))) == b"<h1>new</h1>"
    write(root / "route", b"a file")
    assert body(files, folder.plan(request("/route", HTML))) == b"a file"
    assert ("Vary", "Accept") in refused(folder, "/other").headers


def test_a_fallback_that_is_not_there_is_404(root: Path) -> None:
    assert refused(site(root, SiteOptions(fallback="absent.html")), "/route", HTML).status == 404


def test_error_pages(root: Path) -> None:
    fill(root, {"404.html": b"<h1>lost</h1>", "50x.html": b"<h1>sorry</h1>", "403.html": b""})
    files = store(root)
    folder = StaticSite(files)
    lost = folder.error_page(HTTPError(404))
    assert lost is not None
    assert (lost.status, body(files, lost)) == (404, b"<h1>lost</h1>")
    assert lost.headers == Headers(
        (
            ("Content-Type", "text/html; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        )
    )
    sorry = folder.error_page(HTTPError(503, headers=(("Retry-After", "5"),)))
    assert sorry is not None
    assert (sorry.status, sorry.headers.get("Retry-After"), body(files, sorry)) == (503, "5", b"<h1>sorry</h1>")
    assert folder.error_page(HTTPError(403)) is None
    assert folder.error_page(HTTPError(400)) is None


def test_a_file_that_may_not_be_read_is_403(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = site(root)
    refuse(monkeypatch, errno.EACCES)
    assert refused(folder, "/style.css").status == 403


def test_a_large_file_is_served_at_once_and_gets_its_strong_tag_when_it_is_hashed(root: Path) -> None:
    jobs: list[HashJob] = []
    files = store(root, limits=StoreLimits(small_bytes=0), defer=jobs.append, inline_bytes=0)
    folder = StaticSite(files)
    for _ in range(2):
        begun = folder.plan(request("/style.css"))
        assert body(files, begun) == TREE["style.css"]
        assert str(begun.headers.get("ETag")).startswith('W/"')
    tag = str(begun.headers.get("ETag"))
    assert folder.plan(request("/style.css", ("if-none-match", tag))).status == 304
    assert refused(folder, "/style.css", ("if-match", '"any"')).status == 503  # nobody can say yet
    assert folder.plan(request("/style.css", ("if-match", "*"))).status == 200
    some = ("range", "bytes=1-2")
    assert folder.plan(request("/style.css", some)).status == 206
    for unsure in (tag, tag.removeprefix("W/"), str(begun.headers.get("Last-Modified"))):
        assert folder.plan(request("/style.css", some, ("if-range", unsure))).status == 200
    assert len(jobs) == 1
    jobs[0].run()
    known = folder.plan(request("/style.css"))
    assert known.headers.get("ETag") == strong_etag(digest_of(TREE["style.css"]))
    assert body(files, begun) == TREE["style.css"]
    files.close()


def test_all_that_is_remembered_can_be_dropped(root: Path) -> None:
    files = store(root)
    folder = StaticSite(files, SiteOptions(fallback="index.html"))
    asks = [request(path, HTML) for path in ("/", "/style.css", "/route", "/docs/page.html")]
    first = [folder.plan(ask) for ask in asks]
    assert [folder.plan(ask) for ask in asks] == first
    folder.drop_caches()
    assert [folder.plan(ask) for ask in asks] == first


def test_long_fields_are_answered_and_not_remembered(root: Path) -> None:
    folder = site(root)
    long = request("/", ("if-none-match", ", ".join(f'"{at}"' for at in range(1000))))
    assert folder.plan(long) == folder.plan(long) == folder.plan(request("/"))


@pytest.mark.parametrize("modified_s", [7_000_000_000, 11_000_000_000])
def test_a_date_to_come_is_said_to_be_now(root: Path, modified_s: int) -> None:
    """RFC 9110 8.8.2.1: the date of the message takes the place of one in its future."""
    write(root / "style.css", b"p{}", modified_s)
    clock = [LATER_NS]
    folder = StaticSite(store(root, clock_ns=lambda: clock[0]))
    for _ in range(3):
        plan = folder.plan(request("/style.css", ("if-modified-since", "Sun, 09 Sep 2001 01:46:40 GMT")))
        assert (plan.status, plan.headers.get("Last-Modified")) == (200, format_date(clock[0] // 10**9))
        clock[0] += 10**9


@pytest.mark.parametrize("modified_s", [-1, -10_000_000_000])
def test_a_date_before_1970_is_one_too(root: Path, modified_s: int) -> None:
    write(root / "style.css", b"p{}", modified_s)
    plan = site(root).plan(request("/style.css"))
    assert plan.headers.get("Last-Modified") == format_date((root / "style.css").stat().st_mtime_ns // 10**9)


def test_the_target_makes_no_difference_beyond_its_path(root: Path) -> None:
    folder = site(root)
    assert folder.plan(changed(request("/"), query="x=1", target="/?x=1")) == folder.plan(request("/"))
