"""Cookies: hostile ones are skipped, careless ones are typed errors, and what is set comes back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.cookies import MAX_COOKIE_BYTES, MAX_COOKIES, BadCookie, Cookie, CookieTooLarge, parse_cookies, removal
from trickleweb.headers import Headers

TOKENS = st.text("!#$%&'*+-.^_`|~abcXYZ019", min_size=1, max_size=12)
OCTETS = st.text([chr(each) for each in range(0x21, 0x7F) if chr(each) not in '",;\\'], max_size=30)


def sent(*values: str) -> dict[str, str]:
    return dict(parse_cookies(Headers(tuple(("cookie", value) for value in values))))


@given(st.dictionaries(TOKENS, OCTETS, max_size=6))
def test_what_is_set_comes_back(cookies: dict[str, str]) -> None:
    pairs = [Cookie(f"x{name}", value).header().partition(";")[0] for name, value in cookies.items()]
    assert sent("; ".join(pairs)) == {f"x{name}": value for name, value in cookies.items()}


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_any_field_is_read_without_an_error(value: str) -> None:
    for name, text in sent(value).items():
        assert f"{name}" in value
        assert not set(name + text) & set(";\r\n\0")


@pytest.mark.parametrize(
    ("value", "cookies"),
    [
        ("", {}),
        (";;; ;", {}),
        ("a", {}),
        ("=b", {}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("  a\t=  b  ;c=d", {"a": "b", "c": "d"}),
        ("a=1; a=2", {"a": "1"}),
        ('a="x y"', {"a": '"x y"'}),
        ("a b=c; d=e", {"d": "e"}),
        ("a=\x00; b=\x7f; c=1", {"c": "1"}),
        ("a=b, c=d", {"a": "b, c=d"}),
        ("$Version=1; a=1", {"$Version": "1", "a": "1"}),
    ],
)
def test_what_browsers_and_attackers_send(value: str, cookies: dict[str, str]) -> None:
    assert sent(value) == cookies


def test_several_fields_are_one_list() -> None:
    assert sent("a=1; b=2", "b=3; c=4") == {"a": "1", "b": "2", "c": "4"}


def test_the_number_of_cookies_is_bounded() -> None:
    assert len(sent(";".join(f"a{i}=1" for i in range(30_000)))) == MAX_COOKIES
    assert len(sent(*(f"a{i}=1" for i in range(1000)))) == MAX_COOKIES
    assert len(sent(";" * 65_000)) == 0


WRITTEN = [
    (Cookie("a", "b"), "a=b; Path=/; HttpOnly; SameSite=Lax"),
    (
        Cookie("a", '"x"', 3600, "/app", "Example.org", secure=True, http_only=False, same_site="None"),
        'a="x"; Max-Age=3600; Domain=Example.org; Path=/app; Secure; SameSite=None',
    ),
    (Cookie("__Host-s", "v", secure=True, same_site="Strict"), "__Host-s=v; Path=/; Secure; HttpOnly; SameSite=Strict"),
    (removal("a", path="/app", domain="x.org"), "a=; Max-Age=0; Domain=x.org; Path=/app; HttpOnly; SameSite=Lax"),
    (removal("__Secure-a", secure=True), "__Secure-a=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"),
]


@pytest.mark.parametrize(("cookie", "header"), WRITTEN)
def test_a_cookie_is_written(cookie: Cookie, header: str) -> None:
    assert cookie.header() == header


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "no name"),
    ({"name": "a b"}, "no name"),
    ({"name": "a=b"}, "no name"),
    ({"name": "a\r\nX: y"}, "no name"),
    ({"value": "a;b"}, "cannot carry"),
    ({"value": "a b"}, "cannot carry"),
    ({"value": "a,b"}, "cannot carry"),
    ({"value": 'a"b'}, "cannot carry"),
    ({"value": '"'}, "cannot carry"),
    ({"value": "a\\b"}, "cannot carry"),
    ({"value": "a\r\nSet-Cookie: x=y"}, "cannot carry"),
    ({"value": "ü"}, "cannot carry"),
    ({"value": "x\n"}, "cannot carry"),
    ({"path": "app"}, "no path"),
    ({"path": "/a;Secure"}, "no path"),
    ({"path": "/a\r\n"}, "no path"),
    ({"path": "/" + "a" * 1024}, "no path"),
    ({"domain": "a b"}, "no domain"),
    ({"domain": "a;b"}, "no domain"),
    ({"domain": "a..b"}, "no domain"),
    ({"domain": "a" * 64}, "no domain"),
    ({"domain": ".".join("a" * 200)}, "no domain"),
    ({"max_age_s": -1}, "400 days"),
    ({"max_age_s": 1 << 40}, "400 days"),
    ({"same_site": "None"}, "for Secure cookies only"),
    ({"name": "__Secure-a"}, "is Secure"),
    ({"name": "__HOST-a"}, "is Secure"),
    ({"name": "__Host-a", "secure": True, "path": "/app"}, "no Domain, and the path /"),
    ({"name": "__host-a", "secure": True, "domain": "x.org"}, "no Domain, and the path /"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD)
def test_a_cookie_no_browser_would_keep_is_a_typed_error(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadCookie, match=reason):
        Cookie(**({"name": "a", "value": "b"} | changes))


def test_a_cookie_has_its_size() -> None:
    assert len(Cookie("a", "x" * (MAX_COOKIE_BYTES - 1)).value) == MAX_COOKIE_BYTES - 1
    with pytest.raises(CookieTooLarge, match="keep its data in a shared store"):
        Cookie("a", "x" * MAX_COOKIE_BYTES)
