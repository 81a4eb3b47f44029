"""Small middleware: hosts, timing, names of requests, authentication, careful headers."""

import base64

import pytest

from tests.support.web import ask, composed, fields, request, returning
from trickleweb.errors import HTTPError, UnsafeHeader
from trickleweb.handlers import Handler, Middleware
from trickleweb.middleware import (
    basic_auth,
    bearer_auth,
    request_ids,
    same_secret,
    security_headers,
    timing,
    trusted_hosts,
)
from trickleweb.request import Request
from trickleweb.responses import Response

HELLO = returning(Response.text("hello"))


async def who(asked: Request) -> Response:
    return Response.text(f"{asked.principal} {asked.state.get('request_id')}")


async def failing(_request: Request) -> Response:
    raise RuntimeError("broken")


def status(middleware: Middleware, asked: Request) -> int:
    return ask(composed(HELLO, [middleware]), asked).status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.org", 200),
        ("EXAMPLE.org:8080", 200),
        ("example.org.", 200),
        ("www.example.org", 421),
        ("a.b.example.net", 200),
        ("example.net", 421),
        ("evilexample.net", 421),
        ("example.org.evil.net", 421),
        ("[::1]:80", 200),
        ("[::2]", 421),
        ("127.0.0.1", 421),
    ],
)
def test_only_trusted_hosts_are_answered(host: str, expected: int) -> None:
    trusting = trusted_hosts("Example.org", "*.example.net", "[::1]")
    assert status(trusting, request("GET", "/", ("Host", host))) == expected
    assert status(trusted_hosts("*"), request("GET", "/", ("Host", host))) == 200


@pytest.mark.parametrize(
    "patterns", [(), ("",), ("exa mple.org",), ("http://example.org",), ("*example.org",), ("a*",), ("x:80",)]
)
def test_a_pattern_that_no_host_could_match_is_refused(patterns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="invalid host pattern"):
        trusted_hosts(*patterns)


def test_timing_is_told_and_never_sent() -> None:
    clock = iter([100, 350, 1000, 1001])
    told: list[tuple[Response | None, int]] = []
    measured = timing(lambda: next(clock), lambda _request, response, took: told.append((response, took)))
    response = ask(composed(HELLO, [measured]), request())
    assert told == [(response, 250)]
    assert response == Response.text("hello")
    with pytest.raises(RuntimeError, match="broken"):
        ask(composed(failing, [measured]), request())
    assert told[1] == (None, 1)


@pytest.mark.parametrize(
    ("trust", "given", "kept"),
    [
        (True, "abc-1.2~3/4+5=_", True),
        (False, "abc", False),
        (True, "a b", False),
        (True, "x" * 129, False),
        (True, "", False),
        (True, "ü", False),
    ],
)
def test_every_request_has_a_name(trust: bool, given: str, kept: bool) -> None:
    handler = composed(who, [request_ids(trust=trust)])
    first, again = (ask(handler, request("GET", "/", ("X-Request-ID", given))) for _ in range(2))
    name = fields(first)["X-Request-ID"]
    assert first == again == Response.text(f" {name}").with_header("X-Request-ID", name)
    assert (name == given) is kept
    assert ask(handler, request(seed=bytes(32))) != ask(handler, request())


def check(user: str, password: str) -> str | None:
    return f"user:{user}" if user == "anna" and same_secret(password, "pass:wörd") else None


async def check_token(token: str) -> str | None:
    return "robot" if same_secret(token, "abc.DEF-1~+/==") else None


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


BASIC = composed(who, [basic_auth(check, realm='the "house"')])
BEARER = composed(who, [bearer_auth(check_token, realm="api")])


@pytest.mark.parametrize("scheme", ["Basic ", "basic  ", "BASIC "])
def test_who_brings_the_password_is_let_in(scheme: str) -> None:
    value = scheme + base64.b64encode("anna:pass:wörd".encode()).decode()
    assert ask(BASIC, request("GET", "/", ("Authorization", value))) == Response.text("user:anna None")


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "Basic", "Basic ", "Basic !!!", "Basic YQ", "Bearer abc", basic(b"anna"), basic(b"anna:wrong")),
        *(basic(b"anna:"), basic(b"\xff:\xff"), basic(b""), basic(b":"), "Basic " + "A" * 10_000, "Basic YTpi YTpi"),
    ],
)
def test_all_others_are_asked_for_it(value: str | None) -> None:
    response = ask(BASIC, request("GET", "/", *([("Authorization", value)] if value is not None else [])))
    assert response.status == 401
    assert fields(response)["WWW-Authenticate"] == 'Basic realm="the \\"house\\"", charset="UTF-8"'


def test_two_credentials_are_none() -> None:
    good = ("Authorization", basic("anna:pass:wörd".encode()))
    assert ask(BASIC, request("GET", "/", good, good)).status == 401


def test_a_bearer_token_is_checked_even_asynchronously() -> None:
    assert ask(BEARER, request("GET", "/", ("Authorization", "Bearer abc.DEF-1~+/=="))) == Response.text("robot None")


@pytest.mark.parametrize(
    ("value", "challenge"),
    [
        (None, 'Bearer realm="api"'),
        ("Bearer", 'Bearer realm="api"'),
        ("Bearer a b", 'Bearer realm="api"'),
        ("Bearer ü", 'Bearer realm="api"'),
        ("Basic abc", 'Bearer realm="api"'),
        ("Bearer abc", 'Bearer realm="api", error="invalid_token"'),
    ],
)
def test_a_bad_token_is_told_as_the_standard_says(value: str | None, challenge: str) -> None:
    response = ask(BEARER, request("GET", "/", *([("Authorization", value)] if value else [])))
    assert (response.status, fields(response)["WWW-Authenticate"]) == (401, challenge)


def test_a_realm_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        basic_auth(check, realm="a\r\n")
    with pytest.raises(ValueError, match="control character"):
        bearer_auth(check_token, realm="a\0")


@pytest.mark.parametrize(
    ("given", "known", "same"), [("a", "a", True), ("a", "b", False), ("", "a", False), ("\ud800", "\ud800", True)]
)
def test_secrets_are_compared(given: str, known: str, same: bool) -> None:
    assert same_secret(given, known) is same


def test_careful_headers_are_added_where_there_are_none() -> None:
    own = returning(Response.text("x", headers=(("x-frame-options", "SAMEORIGIN"),)))
    changes = {"Referrer-Policy": None, "Permissions-Policy": "camera=()"}
    found = fields(ask(composed(own, [security_headers(changes)]), request()))
    assert found["x-frame-options"] == "SAMEORIGIN"
    assert "X-Frame-Options" not in found
    assert "Referrer-Policy" not in found
    assert found["Permissions-Policy"] == "camera=()"
    assert found["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in found["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in found


@pytest.mark.parametrize(
    ("target", "max_age_s", "sent"), [("https://x.org/", 60, True), ("/", 60, False), ("https://x.org/", 0, False)]
)
def test_hsts_is_for_https_when_asked_for(target: str, max_age_s: int, sent: bool) -> None:
    handler = composed(HELLO, [security_headers(hsts_max_age_s=max_age_s)])
    found = fields(ask(handler, request("GET", target)))
    assert ("Strict-Transport-Security" in found) is sent


def test_careful_headers_are_on_errors_too() -> None:
    async def missing(_request: Request) -> Response:
        raise HTTPError(404)

    inner: Handler = missing
    assert "X-Frame-Options" in ask(composed(inner, [security_headers()]), request()).headers


def test_unsafe_changes_are_refused_at_once() -> None:
    with pytest.raises(UnsafeHeader):
        security_headers({"X-Frame-Options": "a\r\nb"})
