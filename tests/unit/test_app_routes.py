"""Applications answer what is registered on them: routes, groups, methods, slashes, URLs, terms."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.web import head
from trickleweb import App, HTTPError, Request, Response, Routes
from trickleweb.app import BadHandler
from trickleweb.application import Terms
from trickleweb.handlers import Handler, Middleware
from trickleweb.paths import BadTemplate
from trickleweb.request import NotSetUp
from trickleweb.responses.response import NoResponse
from trickleweb.routing import BadRoute, NoSuchRoute
from trickleweb.testing import Client


def returning(value: object) -> App:
    app = App()

    @app.get("/")
    async def home(request: Request) -> object:
        return value

    return app


@pytest.mark.parametrize(
    ("value", "status", "content_type", "content"),
    [
        ("text ü", 200, "text/plain; charset=utf-8", "text ü".encode()),
        (b"\0", 200, "application/octet-stream", b"\0"),
        ({"a": [1]}, 200, "application/json", b'{"a":[1]}'),
        ([1, 2], 200, "application/json", b"[1,2]"),
        (None, 204, None, b""),
        (Response.html("<p>", status=201), 201, "text/html; charset=utf-8", b"<p>"),
    ],
)
def test_a_handlers_value_is_the_response(value: object, status: int, content_type: str | None, content: bytes) -> None:
    answer = Client(returning(value)).get("/")
    assert (answer.status_code, answer.headers.get("content-type"), answer.content) == (status, content_type, content)


@pytest.mark.parametrize("value", [(1, 2), 3.5, object(), iter("ab")])
def test_any_other_value_is_the_programs_error(value: object) -> None:
    with pytest.raises(NoResponse, match="a handler returned"):
        Client(returning(value)).get("/")


def users() -> App:
    app = App()

    @app.get("/users/{id:int}/on/{day:date}")
    async def user(request: Request, day: date, id: int = 0) -> Any:  # noqa: A002
        return [id, day.isoformat()]

    @app.get("/all/{a}/{b}")
    def everything(request: Request, **params: Any) -> Any:
        return params

    @app.get("/none/{a}")
    async def nothing(request: Request) -> Any:
        return request.params

    @app.route("/things/{id}", methods=["PUT", "DELETE"], name="thing")
    async def change(request: Request, id: str) -> str:  # noqa: A002
        return f"{request.method} {id}"

    return app


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/users/7/on/2024-02-29", [7, "2024-02-29"]),
        ("/all/1/z", {"a": "1", "b": "z"}),
        ("/none/x%2Fy", None),
        ("/none/%C3%BC", {"a": "ü"}),
    ],
)
def test_handlers_take_the_parameters_that_they_name(path: str, value: object) -> None:
    answer = Client(users()).get(path)
    assert (answer.json() if answer.is_success else None) == value


def test_one_handler_has_several_methods() -> None:
    client = Client(users())
    assert client.put("/things/a").text == "PUT a"
    assert client.delete("/things/a").text == "DELETE a"
    refused = client.post("/things/a")
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, OPTIONS, PUT")
    options = client.options("/things/a")
    assert (options.status_code, options.headers["allow"], options.content) == (204, "DELETE, OPTIONS, PUT", b"")


def test_every_decorator_is_for_its_method() -> None:
    app = App()
    for decorator in (app.get, app.post, app.put, app.patch, app.delete):
        decorator("/x")(lambda request: request.method)
    client = Client(app)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert client.request(method, "/x").text == method
    assert client.options("/x").headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert client.options("*", headers={"Host": "a"}).status_code == 404  # "/*" is a path like any other


def test_head_is_get_without_its_body() -> None:
    answer = Client(returning("hello")).head("/")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "5")


def test_a_slash_too_many_or_too_few_moves_the_client() -> None:
    app = App()
    app.get("/a b")(lambda request: "1")
    app.post("/c/")(lambda request: request.body)
    client = Client(app)
    moved = client.get("/a%20b/?x=%20y")
    assert (moved.status_code, moved.headers["location"]) == (308, "/a%20b?x=%20y")
    assert client.post("/c", content=b"kept", follow_redirects=True).content == b"kept"
    assert client.get("//example.net/").status_code == 404


def test_groups_are_included_below_a_prefix() -> None:
    app, group, inner = App(), Routes(), Routes()

    @inner.get("/{page:int}")
    async def page(request: Request, team: str, page: int) -> Any:
        return [team, page, request.url_for("teams:pages:page", team=team, page=page + 1)]

    app.include("/teams/{team}", group, name="teams")
    group.include("/pages", inner, name="pages")
    answer = Client(app).get("/teams/a/pages/4")
    assert answer.json() == ["a", 4, "/teams/a/pages/5"]
    assert app.url_for("teams:pages:page", team="ü", page=1) == "/teams/%C3%BC/pages/1"


def test_a_name_is_the_functions_unless_it_is_given() -> None:
    app = users()
    assert app.url_for("user", id=1, day=date(2024, 2, 29)) == "/users/1/on/2024-02-29"
    assert app.url_for("thing", id="x") == "/things/x"
    with pytest.raises(NoSuchRoute, match="change"):
        app.url_for("change", id="x")


def test_the_first_of_two_functions_has_the_name() -> None:
    app = App()
    app.get("/one")(lambda request: "")
    app.get("/two")(lambda request: "")
    assert app.url_for("<lambda>") == "/one"
    app.get("/three", name="<lambda>")(lambda request: "")
    assert app.url_for("<lambda>") == "/three"  # a name that is given counts more


def test_two_given_names_clash() -> None:
    app = App()
    app.get("/one", name="x")(lambda request: "")
    app.get("/two", name="x")(lambda request: "")
    with pytest.raises(BadRoute, match="two paths"):
        app.url_for("x")


def test_a_handler_that_could_never_answer_is_refused() -> None:
    def no_request() -> str:
        return ""

    def by_name(*, request: Request) -> str:
        return ""

    def yields(request: Request) -> Any:
        yield b""

    for bad, why in ((no_request, "no request"), (by_name, "no request"), (yields, "Response.stream")):
        with pytest.raises(BadHandler, match=why):
            App().get("/")(bad)
    with pytest.raises(BadTemplate):
        App().get("no-slash")
    with pytest.raises(BadRoute, match="capitals"):
        App().route("/", methods=["get"])(lambda request: "")
    app = App()
    app.get("/{name}")(lambda request, name: name)
    app.get("/{id}/x")(lambda request, name: "")
    with pytest.raises(BadHandler, match=r"needs name, of which /\{id\}/x has id"):
        app.url_for("x")


def test_what_is_added_later_counts() -> None:
    app = returning("first")
    client = Client(app)
    assert client.get("/late").status_code == 404
    app.get("/late")(lambda request: "second")
    assert client.get("/late").text == "second"


def test_terms_are_the_routes() -> None:
    app = App(max_body_bytes=100)
    app.post("/small", max_body_bytes=10, repeatable=True)(lambda request: "")
    app.post("/usual")(lambda request: "")
    length = ("Content-Length", "50")
    assert app.terms(head("POST", "/small")) == Terms(max_body_bytes=10, repeatable=True)
    assert app.terms(head("POST", "/usual", length)) == Terms(max_body_bytes=100)
    for method, path in (("GET", "/nowhere"), ("POST", "/nowhere"), ("PUT", "/usual")):
        assert app.terms(head(method, path, length)) == Terms(max_body_bytes=65_536)  # refused as one's own errors are
    large = ("Content-Length", "65537")
    for method, path, status in (("POST", "/small", 413), ("PUT", "/usual", 405), ("POST", "/nowhere", 404)):
        with pytest.raises(HTTPError) as caught:
            app.terms(head(method, path, length if status == 413 else large))
        assert caught.value.status == status
    assert dict(caught.value.headers) == {}


def test_requests_know_their_application() -> None:
    app = App()
    app.state.greeting = "hello"

    @app.get("/")
    async def home(request: Request) -> Any:
        return [request.app is app, request.app.state.greeting, request.url_for("home")]

    assert Client(app).get("/").json() == [True, "hello", "/"]


def test_what_an_application_was_not_given_is_named() -> None:
    app = App()
    app.get("/page")(lambda request: Response.template("page.html"))
    app.get("/file")(lambda request: Response.file("x"))
    client = Client(app)
    with pytest.raises(NotSetUp, match=r"App\(templates=folder\)"):
        client.get("/page")
    with pytest.raises(LookupError, match=r"app\.folder\(name, path\)"):
        client.get("/file")


def signing(letter: str) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            if request.query.get("refused") == letter:
                raise HTTPError(403, f"by {letter}")
            response = await inner(request)
            return response.with_header("X-Way", f"{response.headers.get('x-way', '')}{letter}")

        return handle

    return wrap


def test_middleware_of_groups_and_routes_is_around_what_they_hold(tmp_path: Path) -> None:
    app = App(middleware=[signing("a")])
    outer, inner = Routes(middleware=[signing("o"), signing("p")]), Routes(middleware=[signing("i")])
    sub = App(middleware=[signing("s")])
    (tmp_path / "file").write_text("file")
    app.include("/outer", outer)
    outer.include("/inner", inner)
    outer.mount("/files", tmp_path)
    outer.mount("/sub", sub)
    app.get("/")(lambda request: "")
    outer.get("/")(lambda request: "")
    inner.get("/", middleware=[signing("r")])(lambda request: "")
    sub.get("/")(lambda request: "")
    client = Client(app)
    ways = {path: client.get(path).headers["x-way"] for path in ("/", "/outer/", "/outer/inner/", "/outer/sub/")}
    assert ways == {"/": "a", "/outer/": "poa", "/outer/inner/": "ripoa", "/outer/sub/": "spoa"}
    assert client.get("/outer/files/file").text == "file"
    for path in ("/outer/files/file", "/outer/sub/", "/outer/inner/"):
        refused = client.get(path, params={"refused": "o"})
        assert (refused.status_code, refused.headers["x-way"]) == (403, "a")
    assert client.get("/outer/nothing").headers["x-way"] == "a"  # which no group has
