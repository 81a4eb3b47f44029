"""Routes: who answers, who is preferred, what is allowed, and names."""

import pytest

from trickleweb.paths import BadParameter
from trickleweb.routing import (
    BadRoute,
    Found,
    Include,
    Missing,
    Mount,
    Moved,
    NoSuchRoute,
    NotAllowed,
    Options,
    Route,
    Router,
)
from trickleweb.routing.routes import Entry

READ_WRITE = frozenset({"GET", "POST"})
SHOP: list[Entry[str]] = [
    Route("/", "home", name="home"),
    Route("/about", "about"),
    Route("/users/{name}", "by name", name="name"),
    Route("/users/me", "me"),
    Route("/users/{id:int}", "by id", name="user"),
    Route("/users/{id:int}", "edit", frozenset({"PUT", "DELETE"}), name="user"),
    Route("/users/{id:int}/posts", "posts", READ_WRITE),
    Route("/files/{rest:path}", "file", name="file"),
    Route("/files/list.json", "list"),
    Route("/files/v{major:int}.zip", "release"),
    Route("/docs/", "docs"),
    Include("/admin", (Route("", "admin", name="home"), Route("/{table}", "table", name="table")), name="admin"),
    Mount("/static", "static", name="static"),
    Mount("/static/deep", "deep"),
    Mount("/of/{tenant}", "tenant", name="tenant"),
]
ROUTER = Router(SHOP)


def test_nothing_that_one_request_notes_is_seen_by_another() -> None:
    found = ROUTER.match("GET", "/about")
    assert isinstance(found, Found)
    with pytest.raises(TypeError):
        found.params["name"] = "of one request"  # type: ignore[index]
    assert ROUTER.match("GET", "/about") == Found(found.by, {})


@pytest.mark.parametrize(
    ("path", "endpoint", "params"),
    [
        ("/", "home", {}),
        ("/users/me", "me", {}),
        ("/users/7", "by id", {"id": 7}),
        ("/users/07", "by name", {"name": "07"}),
        ("/users/anna maría", "by name", {"name": "anna maría"}),
        ("/users/7/posts", "posts", {"id": 7}),
        ("/files/a/b.txt", "file", {"rest": "a/b.txt"}),
        ("/files/list.json", "list", {}),
        ("/files/v12.zip", "release", {"major": 12}),
        ("/files/vx.zip", "file", {"rest": "vx.zip"}),
        ("/docs/", "docs", {}),
        ("/admin", "admin", {}),
        ("/admin/users", "table", {"table": "users"}),
    ],
)
def test_the_most_literal_route_answers(path: str, endpoint: str, params: dict[str, object]) -> None:
    found = ROUTER.match("GET", path)
    assert isinstance(found, Found)
    assert (found.endpoint, found.params, found.rest) == (endpoint, params, "")


@pytest.mark.parametrize(
    "path",
    [
        "/users",
        "/users/7/",
        "/users/7/photos",
        "/files/a//b",
        "/files//etc/passwd",
        "/static",
        "x",
        "",
        "*",
        "/files/a/../b",
        "//about",
        "/About",
        "/users/",
        "/" * 8000,
        "/a" * 4000,
        "/users/" + "9" * 8000 + "/x",
    ],
)
def test_no_route_has_it(path: str) -> None:
    strict = Router(SHOP, redirect_slashes=False)
    assert strict.match("GET", path) == Missing()


@pytest.mark.parametrize(
    ("path", "endpoint", "params", "rest"),
    [
        ("/static/", "static", {}, "/"),
        ("/static/css/a.css", "static", {}, "/css/a.css"),
        ("/static//x", "static", {}, "//x"),
        ("/static/deep", "static", {}, "/deep"),
        ("/static/deep/x", "deep", {}, "/x"),
        ("/of/acme/", "tenant", {"tenant": "acme"}, "/"),
        ("/of/acme/a/b", "tenant", {"tenant": "acme"}, "/a/b"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_mount_answers_all_below_it(
    method: str, path: str, endpoint: str, params: dict[str, object], rest: str
) -> None:
    found = ROUTER.match(method, path)
    assert isinstance(found, Found)
    assert (found.endpoint, found.params, found.rest) == (endpoint, params, rest)


def test_a_mount_never_answers_where_a_route_is() -> None:
    router: Router[str] = Router([Mount("/", "site"), Route("/api/{n:int}", "api")])
    assert router.match("POST", "/api/7") == NotAllowed(("GET", "HEAD", "OPTIONS"))
    assert router.match("OPTIONS", "/api/7") == Options(("GET", "HEAD", "OPTIONS"))
    found = router.match("POST", "/api/x")
    assert isinstance(found, Found)
    assert found.endpoint == "site"
    assert found.rest == "/api/x"


def test_head_comes_with_get_unless_the_program_has_its_own() -> None:
    router = Router([Route("/a", "get"), Route("/b", "get"), Route("/b", "head", frozenset({"HEAD"}))])
    for path, endpoint in (("/a", "get"), ("/b", "head")):
        found = router.match("HEAD", path)
        assert isinstance(found, Found)
        assert found.endpoint == endpoint
    head_first = Router([Route("/b", "head", frozenset({"HEAD"})), Route("/b", "get")]).match("HEAD", "/b")
    assert isinstance(head_first, Found)
    assert head_first.endpoint == "head"


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/about", ("GET", "HEAD", "OPTIONS")),
        ("/users/7/posts", ("GET", "HEAD", "OPTIONS", "POST")),
        ("/users/7", ("DELETE", "GET", "HEAD", "OPTIONS", "PUT")),
    ],
)
def test_another_method_is_told_what_is_allowed(path: str, allow: tuple[str, ...]) -> None:
    assert ROUTER.match("PATCH", path) == NotAllowed(allow)
    assert ROUTER.match("OPTIONS", path) == Options(allow)
    assert Router(reversed(SHOP)).match("PATCH", path) == NotAllowed(allow)


def test_a_program_may_answer_options_itself() -> None:
    found = Router([Route("/a", "own", frozenset({"OPTIONS"}))]).match("OPTIONS", "/a")
    assert isinstance(found, Found)
    assert found.endpoint == "own"


def test_options_of_the_server_names_every_method() -> None:
    assert ROUTER.match("OPTIONS", "*") == Options(("DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"))
    assert ROUTER.match("GET", "*") == Missing()


def test_methods_of_one_path_may_be_written_apart() -> None:
    router = Router(
        [Route(path, method, frozenset({method})) for path in ("/{p:path}", "/{n:int}") for method in ("GET", "PUT")]
    )
    for path in ("/a/b", "/7"):
        found = router.match("PUT", path)
        assert isinstance(found, Found)
        assert found.endpoint == "PUT"
        assert router.match("DELETE", path) == NotAllowed(("GET", "HEAD", "OPTIONS", "PUT"))


def test_a_method_is_looked_for_in_every_template_that_matches() -> None:
    router = Router([Route("/users/me", "me"), Route("/users/{name}", "remove", frozenset({"DELETE"}))])
    found = router.match("DELETE", "/users/me")
    assert isinstance(found, Found)
    assert found.params == {"name": "me"}
    assert router.match("PUT", "/users/me") == NotAllowed(("DELETE", "GET", "HEAD", "OPTIONS"))


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/about/", "/about"),
        ("/docs", "/docs/"),
        ("/static", "/static/"),
        ("/users/7/", "/users/7"),
        ("/of/x", "/of/x/"),
    ],
)
def test_the_other_spelling_of_a_slash_is_pointed_to(path: str, other: str) -> None:
    assert ROUTER.match("GET", path) == Moved(other)


def test_a_slash_never_points_to_another_host() -> None:
    router: Router[str] = Router([Mount("/", "site"), Route("/{a}/{b}/", "two")])
    assert Router([Route("/{a}", "one")]).match("GET", "//evil.example/") == Missing()
    assert not isinstance(router.match("GET", "//evil.example"), Moved)


@pytest.mark.parametrize(
    ("name", "params", "path"),
    [
        ("home", {}, "/"),
        ("user", {"id": 7}, "/users/7"),
        ("name", {"name": "a b"}, "/users/a%20b"),
        ("file", {"rest": "a/b c"}, "/files/a/b%20c"),
        ("admin:home", {}, "/admin"),
        ("admin:table", {"table": "ü"}, "/admin/%C3%BC"),
        ("static", {"path": "css/a.css"}, "/static/css/a.css"),
        ("tenant", {"tenant": "acme", "path": "x"}, "/of/acme/x"),
    ],
)
def test_a_name_leads_to_a_path(name: str, params: dict[str, object], path: str) -> None:
    assert ROUTER.url_for(name, **params) == path


def test_a_wrong_name_or_parameter_is_a_typed_error() -> None:
    with pytest.raises(NoSuchRoute, match="no route is called 'nobody'; there are admin:home, admin:table"):
        ROUTER.url_for("nobody")
    with pytest.raises(BadParameter, match="is no int"):
        ROUTER.url_for("user", id="seven")
    with pytest.raises(BadParameter, match="is no path"):
        ROUTER.url_for("static", path="../secret")


BAD: list[tuple[list[Entry[str]], str]] = [
    ([Route("/a", "x"), Route("/a", "y")], "GET /a is answered by two routes"),
    ([Route("/{a}", "x"), Route("/{a:str}", "y")], "answered by two routes"),
    ([Route("/a", "x", READ_WRITE), Route("/a", "y", frozenset({"POST"}))], "POST /a is answered"),
    ([Route("/a", "x", name="n"), Route("/b", "y", name="n")], "two paths are called 'n': /a and /b"),
    ([Mount("/a", "x"), Mount("/a/", "y")], "two mounts at '/a/'"),
]


@pytest.mark.parametrize(("entries", "reason"), BAD)
def test_routes_that_cannot_be_told_apart_are_refused(entries: list[Entry[str]], reason: str) -> None:
    with pytest.raises(BadRoute, match=reason):
        Router(entries)


@pytest.mark.parametrize("methods", [frozenset[str](), frozenset({"get"}), frozenset({"GE T"}), frozenset({""})])
def test_a_route_has_methods_in_capitals(methods: frozenset[str]) -> None:
    with pytest.raises(BadRoute, match="words in capitals"):
        Route("/a", "x", methods)


def test_including_twice_nests_names_and_prefixes() -> None:
    inner: Include[str] = Include("/b/{x:int}", (Route("/c", "end", name="c"), Mount("/m", "m", name="m")), name="b")
    router: Router[str] = Router([Include("/a", (inner,), name="a"), Include("/plain", (inner,))])
    assert router.url_for("a:b:c", x=1) == "/a/b/1/c"
    assert router.url_for("b:m", x=2, path="y") == "/plain/b/2/m/y"
