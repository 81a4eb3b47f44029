"""Responses as values: what each constructor makes, and what can never be sent."""

from datetime import date
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.web import ask, composed, error_handlers, fields, request, returning
from trickleweb.bodies import Complete, FileBody, Level, Rendered, Stepped, Streamed, level, steps
from trickleweb.cookies import Cookie
from trickleweb.errors import HTTPError, UnsafeHeader
from trickleweb.handlers import Handler
from trickleweb.headers import Headers
from trickleweb.http1.render import render_field
from trickleweb.parameters import parse_parameters
from trickleweb.request import Request
from trickleweb.responses import Response, as_response, content_disposition, error_response, local_target
from trickleweb.responses.response import NoResponse, location


@steps("count")
def count(cursor: int) -> Any:
    yield b"x", cursor + 1


@pytest.mark.parametrize(
    ("response", "media_type", "data"),
    [
        (Response.bytes(b"\0"), "application/octet-stream", b"\0"),
        (Response.bytes(b"x", media_type="image/png"), "image/png", b"x"),
        (Response.text("ü"), "text/plain; charset=utf-8", "ü".encode()),
        (Response.html("<p>"), "text/html; charset=utf-8", b"<p>"),
        (Response.json({"b": "ü", "a": [1.5, None]}), "application/json", '{"b":"ü","a":[1.5,null]}'.encode()),
        (Response.json([], headers=(("content-type", "application/geo+json"),)), "application/geo+json", b"[]"),
    ],
)
def test_complete_bodies(response: Response, media_type: str, data: bytes) -> None:
    assert response.status == 200
    assert response.headers.all("content-type") == (media_type,)
    assert response.body == Complete(data)


def test_json_of_other_types_takes_a_default() -> None:
    with pytest.raises(TypeError):
        Response.json(date(2024, 2, 29))
    assert Response.json([date(2024, 2, 29)], default=str).body == Complete(b'["2024-02-29"]')
    with pytest.raises(ValueError, match="JSON"):
        Response.json(float("nan"))


def test_other_bodies() -> None:
    assert Response.empty() == Response(204)
    file = Response.file("a/b.pdf", folder="docs", download="naïve.pdf", media_type="application/pdf")
    assert file.body == FileBody("a/b.pdf", "docs", "application/pdf")
    assert "content-type" not in file.headers
    assert fields(file)["Content-Disposition"] == "attachment; filename=\"na_ve.pdf\"; filename*=UTF-8''na%C3%AFve.pdf"
    page = Response.template("page.html", {"a": 1}, status=404)
    assert (page.status, page.body) == (404, Rendered("page.html", {"a": 1}))
    assert Response.template("page.html", streaming=True).body == Rendered("page.html", {}, streaming=True)
    assert Response.stepped(count.at(0), media_type="text/csv").body == Stepped(count, 0)
    chunks = iter([b"a"])
    assert Response.stream(chunks).body == Streamed(chunks)


def test_each_body_has_its_level() -> None:
    levels = [level(body) for body in (Complete(), FileBody("a"), Rendered("a", {}), count.at(0), Streamed([]))]
    assert levels == [Level.ADDRESSABLE, Level.ADDRESSABLE, Level.ADDRESSABLE, Level.STEPPED, Level.REPLAYED]
    assert level(Rendered("a", {}, streaming=True)) is Level.REPLAYED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(status: int) -> None:
    response = Response.redirect("/über uns?q=a b\r\nX: y#frag", status=status)
    assert (response.status, fields(response)["Location"]) == (status, "/%C3%BCber%20uns?q=a%20b%0D%0AX:%20y#frag")


@given(st.text(st.characters(exclude_categories=[])))
def test_a_location_is_always_one_field(url: str) -> None:
    assert render_field("Location", location(url)).isprintable()
    if "%" not in url and url.isprintable():
        assert unquote(location(url)) == url


@pytest.mark.parametrize("status", [200, 304, 404, 300])
def test_what_is_no_redirect(status: int) -> None:
    with pytest.raises(ValueError, match="no redirect"):
        Response.redirect("/", status=status)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("/next?a=1", "/next?a=1"),
        (None, "/"),
        ("", "/"),
        ("next", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\/evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        (" /x", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_a_target_from_a_query_stays_on_this_host(url: str | None, target: str) -> None:
    assert local_target(url) == target


@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_any_file_name_makes_one_safe_field(filename: str) -> None:
    value = content_disposition(filename)
    assert render_field("Content-Disposition", value).isprintable()
    parsed = parse_parameters(value)
    assert parsed.value == "attachment"
    if "filename*" in parsed.parameters:
        encoded = parsed.parameters["filename*"].removeprefix("UTF-8''")
        assert unquote(encoded) == filename.encode("utf-8", "replace").decode()
    else:
        assert parsed.parameters["filename"] == filename
    assert content_disposition("a.txt", inline=True) == 'inline; filename="a.txt"'


@pytest.mark.parametrize("pair", [("X", "a\r\nY: b"), ("X\r\n", "a"), ("X Y", "a"), ("", "a"), ("X", "\0"), ("X", "ż")])
def test_an_unsafe_header_is_refused_where_it_is_set(pair: tuple[str, str]) -> None:
    with pytest.raises(UnsafeHeader):
        Response(headers=Headers((pair,)))
    with pytest.raises(UnsafeHeader):
        Response.text("x").with_header(*pair)


@pytest.mark.parametrize("status", [0, 100, 199, 600, 1000])
def test_a_status_is_final(status: int) -> None:
    with pytest.raises(ValueError, match="no final status"):
        Response(status)


def test_headers_and_cookies_are_added() -> None:
    response = Response.text("x").with_header("X", "1").with_header("x", "2")
    assert response.headers.all("x") == ("2",)
    response = response.with_cookie(Cookie("a", "1")).with_cookie(Cookie("b", "2"))
    assert [each.partition(";")[0] for each in response.headers.all("set-cookie")] == ["a=1", "b=2"]


def test_vary_grows_without_repeating() -> None:
    response = Response.text("x").varying("Accept").varying("accept", "Origin")
    assert response.headers.all("vary") == ("Accept, Origin",)
    assert Response.text("x").with_header("Vary", "*").varying("Origin").headers.all("vary") == ("*",)


@pytest.mark.parametrize(
    ("value", "response"),
    [
        (Response.empty(), Response.empty()),
        ("a", Response.text("a")),
        (b"a", Response.bytes(b"a")),
        ({"a": 1}, Response.json({"a": 1})),
        ([1], Response.json([1])),
        (None, Response.empty()),
    ],
)
def test_what_a_handler_may_return(value: object, response: Response) -> None:
    assert as_response(value) == response


@pytest.mark.parametrize("value", [5, object(), ("text", 404), {1}])
def test_what_a_handler_may_not_return(value: object) -> None:
    with pytest.raises(NoResponse, match=f"returned {type(value).__name__}"):
        as_response(value)


@pytest.mark.parametrize(
    ("accept", "media_type", "data"),
    [
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8", b"<p>&lt;b&gt; is missing.</p>"),
        (
            "application/json",
            "application/problem+json",
            b'{"status":404,"title":"Not Found","detail":"<b> is missing."}',
        ),
        ("*/*", "text/plain; charset=utf-8", b"404 Not Found\n<b> is missing.\n"),
    ],
)
def test_an_error_comes_in_the_form_the_client_takes(accept: str, media_type: str, data: bytes) -> None:
    error = HTTPError(404, "<b> is missing.", headers=(("X-Own", "1"),), close=True)
    response = error_response(request("GET", "/", ("Accept", accept)), error)
    assert (response.status, response.close, response.headers.get("x-own")) == (404, True, "1")
    assert response.headers.get("content-type") == media_type
    assert isinstance(response.body, Complete)
    assert data in response.body.data


def test_an_error_of_a_status_without_a_name() -> None:
    response = error_response(request("GET", "/", ("Accept", "application/json")), HTTPError(499))
    assert response.body == Complete(b'{"status":499}')


def tracing(name: str, trace: list[str]) -> Any:
    def wrap(inner: Handler) -> Handler:
        async def handle(asked: Request) -> Response:
            trace.append(f"{name} in")
            response = await inner(asked)
            trace.append(f"{name} out {response.status}")
            return response

        return handle

    return wrap


def test_the_first_middleware_is_the_outermost_and_sees_errors_as_responses() -> None:
    trace: list[str] = []

    async def failing(_request: Request) -> Response:
        raise HTTPError(404)

    handler = composed(failing, [tracing("a", trace), tracing("b", trace)])
    assert ask(handler, request()).status == 404
    assert trace == ["a in", "b in", "b out 404", "a out 404"]


def test_an_error_of_a_middleware_is_a_response_to_those_outside_it() -> None:
    def refusing(_inner: Handler) -> Handler:
        async def handle(_request: Request) -> Response:
            raise HTTPError(403)

        return handle

    trace: list[str] = []
    handler = composed(returning(Response()), [tracing("a", trace), refusing, tracing("b", trace)])
    assert ask(handler, request()).status == 403
    assert trace == ["a in", "a out 403"]


def test_other_exceptions_go_through() -> None:
    async def broken(_request: Request) -> Response:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        ask(composed(broken, [tracing("a", [])]), request())


def test_an_application_may_answer_errors_itself() -> None:
    async def failing(_request: Request) -> Response:
        raise HTTPError(418, "short and stout")

    async def own(_request: Request, error: HTTPError) -> Response:
        return Response.text(error.reason, status=error.status)

    errors = error_handlers()
    errors.add(418, own)
    assert ask(composed(failing, errors=errors), request()) == Response.text("short and stout", status=418)
