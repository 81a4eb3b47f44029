"""What a file's name says: its media type, and how long it may be kept."""

import pytest

from trickleweb.files.metadata import (
    FOREVER,
    REVALIDATE,
    CacheRule,
    cache_control,
    is_compressible,
    is_hashed,
    media_type,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("a/b.C.CSS", "text/css; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("data.json", "application/json; charset=utf-8"),
        ("site.webmanifest", "application/manifest+json; charset=utf-8"),
        ("logo.svg", "image/svg+xml; charset=utf-8"),
        ("feed.atom", "application/atom+xml; charset=utf-8"),
        ("photo.JPG", "image/jpeg"),
        ("film.mp4", "video/mp4"),
        ("a.tar.gz", "application/gzip"),
        ("module.wasm", "application/wasm"),
        ("README", "application/octet-stream"),
        ("archive.unknown", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("v1.html/file", "application/octet-stream"),
        ("trailing.", "application/octet-stream"),
        ("x.html\u0130", "application/octet-stream"),
    ],
)
def test_media_types(name: str, expected: str) -> None:
    assert media_type(name) == expected


def test_media_types_can_be_overridden() -> None:
    overrides = {"txt": "text/plain; charset=iso-8859-1", "xyz": "chemical/x-xyz"}
    assert media_type("a.txt", overrides) == "text/plain; charset=iso-8859-1"
    assert media_type("a.xyz", overrides) == "chemical/x-xyz"
    assert media_type("a.css", overrides) == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/html; charset=utf-8", True),
        ("image/svg+xml; charset=utf-8", True),
        ("application/wasm", True),
        ("font/ttf", True),
        ("font/woff2", False),
        ("image/png", False),
        ("video/mp4", False),
    ],
)
def test_siblings_are_looked_for_where_they_can_help(content_type: str, expected: bool) -> None:
    assert is_compressible(content_type) is expected


@pytest.mark.parametrize(
    "path",
    [
        "app.3f2a9c1b.js",
        "css/main-0123456789abcdef0123456789abcdef.css",
        "app.3f2a9c1b.js.map",
        "assets/index-BZ4kq8sR.js",
        "x/_astro/page.Dk3_9aQz.css",
    ],
)
def test_names_that_hold_a_hash(path: str) -> None:
    assert is_hashed(path)
    assert cache_control(path) == FOREVER


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "report-20240115.pdf",
        "holiday-facedeed.jpg",
        "invoice.12345678.pdf",
        "index-BZ4kq8sR.js",
        "assets/my-document.pdf",
        "assets/icon-settings.svg",
        "3f2a9c1b.js",
        "app.3f2a9c1b",
        "app.3F2A9C1B.js",
        "3f2a9c1b/app.js",
        "a" * 300 + ".3f2a9c1b.js",
    ],
)
def test_names_that_hold_none(path: str) -> None:
    assert not is_hashed(path)
    assert cache_control(path) == REVALIDATE


def test_the_first_rule_that_fits_decides() -> None:
    rules = (CacheRule("*.html", "no-store"), CacheRule("img/*", "max-age=60"), CacheRule("*", "max-age=5"))
    assert cache_control("a/b.html", rules) == "no-store"
    assert cache_control("img/a/b.png", rules) == "max-age=60"
    assert cache_control("app.3f2a9c1b.js", rules) == "max-age=5"
