"""CORS: preflights answered, responses marked, caches told, and policies that would give everything away refused."""

from typing import Any

import pytest

from tests.support.web import ask, composed, fields, request, returning
from trickleweb.errors import HTTPError
from trickleweb.middleware import CorsPolicy, cors
from trickleweb.request import Request
from trickleweb.responses import Response

ORIGIN = "https://app.example.org"
POLICY = CorsPolicy(
    origins=(ORIGIN, "null"),
    origin_pattern=r"https://[a-z]+\.preview\.example\.org",
    methods=("GET", "PUT"),
    headers=("X-Own", "Content-Type"),
    expose=("X-Total",),
    credentials=True,
    max_age_s=60,
)
OPEN = CorsPolicy(origins=("*",), methods=("*",), headers=("*",))


def answered(policy: CorsPolicy, method: str, *pairs: tuple[str, str]) -> Response:
    inner = returning(Response.text("hello", headers=(("Vary", "Accept"),)))
    return ask(composed(inner, [cors(policy)]), request(method, "/", *pairs))


def preflight(policy: CorsPolicy, origin: str, method: str, headers: str | None = None) -> Response:
    asked = [("Origin", origin), ("Access-Control-Request-Method", method)]
    return answered(policy, "OPTIONS", *asked, *([("Access-Control-Request-Headers", headers)] if headers else []))


@pytest.mark.parametrize("origin", [ORIGIN, "null", "https://a.preview.example.org"])
def test_a_page_of_an_allowed_origin_may_read(origin: str) -> None:
    found = fields(answered(POLICY, "GET", ("Origin", origin)))
    assert found["Access-Control-Allow-Origin"] == origin
    assert found["Access-Control-Allow-Credentials"] == "true"
    assert found["Access-Control-Expose-Headers"] == "X-Total"
    assert found["Vary"] == "Accept, Origin"


@pytest.mark.parametrize(
    "origin",
    [
        *("https://app.example.org.evil.net", "http://app.example.org", "https://app.example.org:8443", "", "*"),
        *("https://a.preview.example.org.evil.net", "https://APP.example.org", "https://x.y.preview.example.org"),
    ],
)
def test_no_other_page_may(origin: str) -> None:
    response = answered(POLICY, "GET", ("Origin", origin))
    assert response.status == 200
    assert fields(response) == {"Content-Type": "text/plain; charset=utf-8", "Vary": "Accept, Origin"}


def test_caches_are_told_even_without_an_origin() -> None:
    assert fields(answered(POLICY, "GET"))["Vary"] == "Accept, Origin"
    assert fields(answered(OPEN, "GET"))["Vary"] == "Accept"


def test_errors_can_be_read_too() -> None:
    async def failing(_request: Request) -> Response:
        raise HTTPError(404)

    response = ask(composed(failing, [cors(POLICY)]), request("GET", "/", ("Origin", ORIGIN)))
    assert (response.status, fields(response)["Access-Control-Allow-Origin"]) == (404, ORIGIN)


def test_an_open_policy_says_so() -> None:
    found = fields(answered(OPEN, "GET", ("Origin", ORIGIN)))
    assert found["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in found
    assert "Access-Control-Expose-Headers" not in found


@pytest.mark.parametrize(
    ("method", "headers"),
    [("PUT", "x-own"), ("PUT", "X-OWN, content-type"), ("PUT", None), ("POST", None), ("HEAD", None), ("GET", "")],
)
def test_a_preflight_is_answered_without_the_handler(method: str, headers: str | None) -> None:
    response = preflight(POLICY, ORIGIN, method, headers)
    assert response.status == 204
    assert fields(response) == {
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        "Access-Control-Allow-Methods": "GET, PUT",
        "Access-Control-Allow-Headers": "X-Own, Content-Type",
        "Access-Control-Max-Age": "60",
    }


def test_an_open_preflight() -> None:
    found = fields(preflight(OPEN, "https://any.example", "DELETE", "x-any, x-other"))
    assert found["Access-Control-Allow-Origin"] == found["Access-Control-Allow-Methods"] == "*"
    assert found["Access-Control-Allow-Headers"] == "*"
    assert "Access-Control-Allow-Headers" not in fields(preflight(CorsPolicy(("*",)), ORIGIN, "GET"))


@pytest.mark.parametrize(
    ("origin", "method", "headers", "reason"),
    [
        ("https://evil.net", "PUT", None, "this origin is not allowed"),
        (ORIGIN, "DELETE", None, "this method is not allowed"),
        (ORIGIN, "put", None, "this method is not allowed"),
        (ORIGIN, "", None, "this method is not allowed"),
        (ORIGIN, "PUT", "x-own, x-other", "one of these headers is not allowed"),
        (ORIGIN, "PUT", "(x", "one of these headers is not allowed"),
    ],
)
def test_a_preflight_for_more_is_refused(origin: str, method: str, headers: str | None, reason: str) -> None:
    response = preflight(POLICY, origin, method, headers)
    assert response.status == 403
    assert reason.encode() in response.body.data  # type: ignore[union-attr]
    found = fields(response)
    assert found["Vary"].startswith("Origin, Access-Control-Request-Method")
    assert not [name for name in found if name.startswith("Access-Control")]


def test_options_that_are_no_preflight_go_through() -> None:
    assert answered(POLICY, "OPTIONS", ("Origin", ORIGIN)).status == 200
    assert answered(POLICY, "OPTIONS", ("Access-Control-Request-Method", "PUT")).status == 200


BAD: list[dict[str, Any]] = [
    {"origins": ("*",), "credentials": True},
    {"origins": (ORIGIN,), "methods": ("*",), "credentials": True},
    {"origins": (ORIGIN,), "headers": ("*",), "credentials": True},
    {"origins": ("example.org",)},
    {"origins": ("https://example.org/",)},
    {"origins": ("https://Example.org\r\n",)},
    {"methods": ("GE T",)},
    {"headers": ("X-Own: 1",)},
    {"expose": ("a\r\nb",)},
]


@pytest.mark.parametrize("policy", BAD)
def test_a_careless_policy_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"names every origin|an origin is|are tokens"):
        CorsPolicy(**policy)
