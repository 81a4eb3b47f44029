"""The client for tests: what goes out is what a browser or httpx would send, and what comes back is whole."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from trickleweb import App, Cookie, HTTPError, Request, Response
from trickleweb.bodies import Complete
from trickleweb.messages import Chunked, Length
from trickleweb.middleware import basic_auth
from trickleweb.testing import AsyncClient, Client, StatusError
from trickleweb.testing.asking import absolute


def echo() -> App:
    app = App()

    @app.route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], max_body_bytes=1000)
    async def tell(request: Request, path: str) -> Any:
        kind = request.content_type.value
        form = request.form() if "form" in kind else None
        framing = request.head.framing
        return {
            "method": request.method,
            "url": request.absolute(request.head.raw_path) + (f"?{request.head.query}" if request.head.query else ""),
            "query": [list(pair) for pair in request.query.pairs],
            "headers": {name: value for name, value in request.headers if name != "content-type"},
            "type": kind,
            "body": request.body.decode("latin-1") if form is None else "",
            "form": [list(pair) for pair in form.pairs] if form else [],
            "files": [[name, each.filename, each.content_type, each.data.decode()] for name, each in form.files.pairs]
            if form
            else [],
            "framing": {Length: "length", Chunked: "chunked"}.get(type(framing), "none"),
            "peer": request.setting.peer,
        }

    return app


def test_urls_params_and_headers() -> None:
    client = Client(echo(), base_url="https://example.org/base/", headers={"X-A": "1", "X-B": "1"}, peer="192.0.2.7")
    told = client.get("x?a=1", params={"b": [2, "ü"], "c": None, "d": True}, headers={"x-b": "2"}).json()
    assert (
        told["url"]
        == "https://example.org/base/x?a=1&b=2&b=%C3%BC&c=&d=true".replace(
            "https://example.org", "https://example.org", 1
        )
        or told
    )
    assert told["query"] == [["a", "1"], ["b", "2"], ["b", "ü"], ["c", ""], ["d", "true"]]
    assert told["headers"] == {"host": "example.org", "x-a": "1", "x-b": "2"}
    assert told["peer"] == "192.0.2.7"
    assert client.get("/root").json()["url"] == "https://example.org/root"
    assert Client(echo()).get("http://other.example:81/y").json()["headers"] == {"host": "other.example:81"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"json": {"a": "ü"}}, {"type": "application/json", "body": '{"a": "\\u00fc"}', "framing": "length"}),
        ({"data": {"a": "1 &", "b": [1, 2]}}, {"form": [["a", "1 &"], ["b", "1"], ["b", "2"]], "framing": "length"}),
        (
            {"data": {"a": "ü"}, "files": {"f": ('n"ame', b"data", "text/x"), "g": b"raw"}},
            {
                "form": [["a", "ü"]],
                "files": [["f", 'n"ame', "text/x", "data"], ["g", "g", "application/octet-stream", "raw"]],
            },
        ),
        ({"content": b"\xff"}, {"type": "", "body": "\xff", "framing": "length"}),
        ({"content": "text"}, {"type": "text/plain", "body": "text"}),
        ({"content": iter([b"in ", b"pieces"])}, {"body": "in pieces", "framing": "chunked"}),
        ({}, {"body": "", "framing": "none"}),
    ],
)
def test_bodies(options: Any, expected: dict[str, Any]) -> None:
    told = Client(echo()).put("/x", **options).json()
    assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://b.example/x", "http://b.example/x"),
        ("//b.example/x;", "https://b.example/x;"),
        ("/x;", "https://a.example/x;"),
        ("x?y#z", "https://a.example/d/x?y"),
        ("../x", "https://a.example/d/../x"),
        ("?y", "https://a.example/d/e?y"),
        ("", "https://a.example/d/e?q"),
        ("#z", "https://a.example/d/e?q"),
    ],
)
def test_a_url_beside_another(url: str, expected: str) -> None:
    assert absolute("https://a.example/d/e?q", url) == expected


def test_two_bodies_are_the_tests_error() -> None:
    with pytest.raises(TypeError, match="one body, not json and content"):
        Client(echo()).post("/x", json=1, content=b"")


def test_an_async_body_goes_in_pieces() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def send() -> Any:
        return (await AsyncClient(echo()).post("/x", content=pieces())).json()["body"]

    assert asyncio.run(send()) == "ab"


def cookies() -> App:
    app = App()

    @app.get("/set")
    async def set_cookies(request: Request) -> Response:
        made = Response.text("")
        for cookie in (Cookie("a", "1"), Cookie("deep", "2", path="/deep"), Cookie("safe", "3", secure=True)):
            made = made.with_cookie(cookie)
        return made

    @app.get("/drop")
    async def drop(request: Request) -> Response:
        return Response.text("").with_cookie(Cookie("a", "", max_age_s=0))

    @app.get("/{path:path}")
    async def tell(request: Request, path: str) -> str:
        return request.headers.get("cookie") or ""

    return app


def test_cookies_are_kept_and_sent_where_they_belong() -> None:
    client = Client(cookies())
    answer = client.get("/set")
    assert dict(answer.cookies) == {"a": "1", "deep": "2", "safe": "3"}
    assert client.get("/x").text == "a=1"
    assert client.get("/deep/x").text == "deep=2; a=1"
    assert client.get("/deeper").text == "a=1"
    assert client.get("https://testserver/x").text == "a=1; safe=3"
    client.cookies["own"] = "4"
    assert client.get("/x", cookies={"more": "5"}).text == "a=1; own=4; more=5"
    client.get("/drop")
    del client.cookies["own"]
    assert client.get("/x").text == ""
    assert sorted(client.cookies) == ["deep", "safe"]
    assert len(client.cookies) == 2


def moving() -> App:
    app = App()

    @app.route("/to/{status:int}", methods=["GET", "POST", "PUT"])
    async def move(request: Request, status: int) -> Response:
        return Response.redirect("/end?moved=1", status=status)

    @app.route("/end", methods=["GET", "POST", "PUT"])
    async def end(request: Request) -> str:
        return f"{request.method} {request.body.decode()} {request.head.query}"

    app.get("/loop")(lambda request: Response.redirect("/loop"))
    return app


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("POST", 303, "GET  moved=1"),
        ("POST", 301, "GET  moved=1"),
        ("POST", 302, "GET  moved=1"),
        ("PUT", 302, "PUT  moved=1"),
        ("POST", 307, "POST body moved=1"),
        ("PUT", 308, "PUT body moved=1"),
    ],
)
def test_redirects_are_followed_if_asked(method: str, status: int, expected: str) -> None:
    client = Client(moving())
    answer = client.request(method, f"/to/{status}", content=b"body")
    assert (answer.status_code, answer.is_redirect, answer.headers["location"]) == (status, True, "/end?moved=1")
    answer = client.request(method, f"/to/{status}", content=b"body", follow_redirects=True)
    assert (answer.text, [each.status_code for each in answer.history]) == (expected, [status])
    assert answer.url == "http://testserver/end?moved=1"


def test_redirects_come_to_an_end() -> None:
    with pytest.raises(ValueError, match="more than 20 redirects"):
        Client(moving(), follow_redirects=True).get("/loop")


def test_an_answer_tells_all() -> None:
    app = App()
    headers = (("X-A", "1"), ("X-A", "2"), ("Content-Type", "text/plain; charset=iso-8859-1"))
    app.get("/")(lambda request: Response.bytes(b"\xfc", status=201, headers=headers))
    app.get("/bad")(lambda request: Response.text("no such luck", status=404))
    answer = Client(app).get("/")
    assert (answer.text, answer.is_success, answer.raise_for_status()) == ("ü", True, answer)
    assert (answer.headers["x-a"], answer.headers.get_list("X-A")) == ("1, 2", ["1", "2"])
    assert (len(answer.headers), list(answer.headers)) == (3, ["x-a", "content-type", "content-length"])
    assert answer.made.body == Complete(b"\xfc")
    assert "nothing" not in answer.headers
    with pytest.raises(StatusError, match="404 for http://testserver/bad: no such luck"):
        Client(app).get("/bad").raise_for_status()


def test_a_request_that_no_server_would_read_is_refused_as_by_one() -> None:
    client = Client(echo())
    assert client.request("CONNECT", "/x").status_code == 400
    assert client.get("/x", headers={"X-A": "a\nb"}).status_code == 400
    assert client.get("/x", headers={"Host": "a b"}).status_code == 400
    assert client.get("/a%zz").status_code == 400


def test_any_application_will_do(tmp_path: Path) -> None:
    class Bare(App):
        async def respond(self, request: Request) -> Response:
            raise HTTPError(402, "Pay.") if request.query.get("pay") else KeyError("bare")

    client = Client(Bare(), raise_server_exceptions=False)
    assert client.get("/?pay=1").text == "402 Payment Required\nPay.\n"
    assert client.get("/").text == "500 Internal Server Error\n"
    with pytest.raises(KeyError):
        Client(Bare()).get("/")


def test_a_client_is_closed_once() -> None:
    app = App()
    app.get("/")(lambda request: "")
    with Client(app) as client:
        assert client.get("/").status_code == 200
    client.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.get("/")


def test_plain_generators_are_read_too() -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"a", b"b")

    app = App()
    app.get("/")(lambda request: Response.stream(chunks()))
    assert Client(app).get("/").content == b"ab"


def test_a_stream_without_end_can_be_left() -> None:
    closed: list[str] = []

    async def ticks() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick\n"
        finally:
            closed.append("async")

    def plain_ticks() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick\n"
        finally:
            closed.append("plain")

    app = App()
    app.get("/async")(lambda request: Response.stream(ticks()))
    app.get("/plain")(lambda request: Response.stream(plain_ticks()))
    for path in ("/async", "/plain"):
        answer = Client(app).get(path, most_bytes=12)
        assert (answer.content, "content-length" in answer.headers) == (b"tick\ntick\nti", False)
    assert closed == ["async", "plain"]


def test_credentials_and_open_files(tmp_path: Path) -> None:
    app = App(middleware=[basic_auth(lambda user, word: user if word == "ü:" else None, realm="x")])

    @app.post("/")
    async def who(request: Request) -> Any:
        (name,) = request.form().files
        return [request.principal, name, request.form().files[name].data.decode()]

    (tmp_path / "file").write_text("content")
    with (tmp_path / "file").open("rb") as file:
        answer = Client(app).post("/", auth=("anna", "ü:"), files={"f": file})
    assert answer.json() == ["anna", "f", "content"]
    assert Client(app).post("/", auth=("anna", "")).status_code == 401


def test_what_a_handler_leaves_running_ends_with_the_client() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b""
        finally:
            ended.append("generator")

    app = App()
    kept: list[Any] = []

    @app.get("/")
    async def leave(request: Request) -> str:
        kept.append(asyncio.create_task(forever()))
        kept.append(endless())
        await anext(kept[-1])
        return "left"

    with Client(app) as client:
        assert client.get("/").text == "left"
        assert ended == []
    assert sorted(ended) == ["generator", "task"]
    kept.clear()
    dropped = Client(app)
    dropped.get("/")
    del dropped
    gc.collect()
    assert sorted(ended) == ["generator", "generator", "task", "task"]


def test_a_header_beyond_ascii_is_sent_as_curl_sends_it() -> None:
    app = App()
    app.get("/")(lambda request: request.headers.get("x-name"))
    assert Client(app).get("/", headers={"X-Name": "caf\xe9"}).text == "caf\xc3\xa9"


def test_a_refused_head_is_answered_as_on_the_wire() -> None:
    answer = Client(App()).head("/", headers={"Host": "a b"})
    assert (answer.status_code, answer.content) == (400, b"")
    assert answer.headers["content-length"] != "0"
    assert answer.headers["connection"] == "close"
