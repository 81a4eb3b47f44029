"""Request paths, most of them hostile: what may be opened, what is refused, and where redirects lead."""

import pytest

from trickleweb.errors import HTTPError
from trickleweb.files.paths import MAX_PATH_BYTES, is_below_root, location, safe_path


@pytest.mark.parametrize(
    ("path", "relative", "slash"),
    [
        ("/", "", True),
        ("//", "", True),
        ("/a", "a", False),
        ("/a/", "a", True),
        ("/a//b", "a/b", False),
        ("//evil.example/a/", "evil.example/a", True),
        ("/.well-known/acme", ".well-known/acme", False),
        ("/a b/\u00fc/\u3042.txt", "a b/\u00fc/\u3042.txt", False),
        ("/a\u3000b", "a\u3000b", False),
        ("/file\udcff", "file\udcff", False),
        ("/a..b/c.", "a..b/c.", False),
        ("/C:/x", "C:/x", False),
        ("/%2e%2e/x", "%2e%2e/x", False),
        ("/~root", "~root", False),
        ("/a\\b", "a\\b", False),
        ("/a\n", "a\n", False),
        ("/a\r\nSet-Cookie: x", "a\r\nSet-Cookie: x", False),
        ("/a\x7f\x85", "a\x7f\x85", False),
        ("/" + "n" * 255, "n" * 255, False),
    ],
)
def test_paths_below_the_root(path: str, relative: str, slash: bool) -> None:
    safe = safe_path(path)
    assert (safe.relative, safe.slash) == (relative, slash)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 400),
        ("a", 400),
        ("*", 400),
        ("../a", 400),
        ("/a\0.html", 400),
        ("/..", 404),
        ("/../etc/passwd", 404),
        ("/a/../../etc/passwd", 404),
        ("/a/./b", 404),
        ("/.", 404),
        ("/...", 404),
        ("/..\\..\\x", 404),
        ("/.git/config", 404),
        ("/.env", 404),
        ("/a/.htaccess", 404),
        ("/a/.well-known/x", 404),
        ("/.well-known/.hidden", 404),
        ("/.well-knownx", 404),
        ("/\ud800", 404),
        ("/" + "n" * 256, 404),
        ("/" + "\u3042" * 86, 404),
        ("/" + "a/" * MAX_PATH_BYTES, 414),
        ("/" + "\u3042" * MAX_PATH_BYTES, 414),
    ],
)
def test_paths_that_are_refused(path: str, status: int) -> None:
    with pytest.raises(HTTPError) as refused:
        safe_path(path)
    assert refused.value.status == status


@pytest.mark.parametrize("relative", ["..", "../a", "/etc/passwd", "a//b", "a/", "a/../b", ".git/x", "a\0b"])
def test_a_continuation_cannot_name_what_a_request_could_not(relative: str) -> None:
    assert not is_below_root(relative)


def test_a_continuation_names_what_a_request_could() -> None:
    assert is_below_root("a/b.txt")
    assert is_below_root("a\udcff")


@pytest.mark.parametrize(
    ("prefix", "path", "query", "folder", "expected"),
    [
        ("", "/a", "", True, "/a/"),
        ("", "/a", "x=1&y=%20", True, "/a/?x=1&y=%20"),
        ("", "//evil.example/b", "", True, "/evil.example/b/"),
        ("", "///evil.example", "", True, "/evil.example/"),
        ("//evil.example", "/b", "", True, "/evil.example/b/"),
        ("/static", "/a", "", True, "/static/a/"),
        ("/static", "/", "", True, "/static/"),
        ("", "//", "", True, "/"),
        ("", "/a//b.txt", "", False, "/a/b.txt"),
        ("", "/a b?#%", "", True, "/a%20b%3F%23%25/"),
        ("", "/\u00fc", "", True, "/%C3%BC/"),
        ("", "/x\udcff", "", True, "/x%FF/"),
        ("", "/a", "x=\r\nSet-Cookie: y", True, "/a/?x=%0D%0ASet-Cookie:%20y"),
        ("", "/a", "\xe9", True, "/a/?%E9"),
    ],
)
def test_locations_stay_on_this_host(prefix: str, path: str, query: str, folder: bool, expected: str) -> None:
    assert location(prefix, safe_path(path), query, folder=folder) == expected
