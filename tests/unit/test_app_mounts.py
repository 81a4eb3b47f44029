"""Folders and applications below a prefix: files with ranges, URLs from both sides, bodies that the outer one finds."""

import errno
from pathlib import Path

import pytest

from tests.support.site_folder import LATER_NS, refuse
from tests.support.web import head
from trickleweb import App, HTTPError, Request, Response, Routes
from trickleweb.app import folders
from trickleweb.bodies import Complete, FileBody, Planned
from trickleweb.files import ContentNotHere, DigestIndex, SiteOptions, disk
from trickleweb.messages import Slice
from trickleweb.routing import BadRoute, NoSuchRoute
from trickleweb.testing import Client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "css").mkdir()
    (tmp_path / "css/site.css").write_text("body {}")
    (tmp_path / "css/index.html").write_text("<p>index")
    (tmp_path / "big").write_bytes(bytes(range(256)) * 512)
    (tmp_path / "404.html").write_text("<p>own page")
    return tmp_path


def test_a_mounted_folder_is_a_web_site(folder: Path) -> None:
    app = App()
    app.mount("/static", folder, name="static")
    client = Client(app)
    css = client.get("/static/css/site.css")
    assert (css.text, css.headers["content-type"]) == ("body {}", "text/css; charset=utf-8")
    assert client.get("/static/css/site.css", headers={"If-None-Match": css.headers["etag"]}).status_code == 304
    part = client.get("/static/big", headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"\1\2\3", "bytes 1-3/131072")
    assert client.get("/static/big", headers={"Range": "bytes=999999-"}).status_code == 416
    assert client.get("/static/css").headers["location"] == "/static/css/"
    assert client.get("/static/css/").text == "<p>index"
    assert client.get("/static").headers["location"] == "/static/"
    assert client.head("/static/big").headers["content-length"] == "131072"
    assert app.url_for("static", path="css/site.css") == "/static/css/site.css"
    missing = client.get("/static/none.css")
    assert (missing.status_code, missing.text) == (404, "<p>own page")
    assert client.get("/static/..%2F..%2Fetc/passwd").status_code == 400


def test_a_mounted_folder_takes_no_other_method(folder: Path) -> None:
    app = App()
    app.mount("/", folder)
    client = Client(app)
    assert client.options("/big").headers["allow"] == "GET, HEAD, OPTIONS"
    assert client.post("/big", content=b"x").status_code == 405
    with pytest.raises(HTTPError, match="405"):  # before its body comes
        app.terms(head("PUT", "/big", ("Content-Length", "65537")))
    refused = client.post("/big")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_a_folder_can_be_listed(folder: Path) -> None:
    app = App()
    app.mount("/files", app.folder("files", folder, SiteOptions(listing=True)))
    assert "site.css" not in Client(app).get("/files/").text
    assert "css/" in Client(app).get("/files/").text


def test_a_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadRoute, match="is no folder"):
        App().mount("/x", tmp_path / "x")


def test_handlers_send_files(folder: Path) -> None:
    app = App()
    app.folder("data", folder)

    @app.route("/report/{name:path}", methods=["GET", "POST"])
    def report(request: Request, name: str) -> Response:
        headers = (("Cache-Control", "private"), ("X-Own", "1"), ("ETag", '"no"'))
        return Response.file(name, download="ü.bin", media_type="text/x-own", headers=headers)

    @app.get("/only")
    def only(request: Request) -> Response:
        return Response.file("css")

    client = Client(app)
    answer = client.get("/report/big")
    assert answer.content == (folder / "big").read_bytes()
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("text/x-own", "private")
    assert "filename*=UTF-8''%C3%BC.bin" in answer.headers["content-disposition"]
    assert answer.headers["x-own"] == "1"
    assert answer.headers["etag"] != '"no"'
    assert client.get("/report/big", headers={"Range": "bytes=0-1"}).content == b"\0\1"
    assert client.post("/report/big", headers={"Range": "bytes=0-1"}).content == answer.content
    assert client.get("/report/none").status_code == 404
    assert client.get("/report/css").status_code == 301  # as the folder's own URL would be
    assert client.get("/only").status_code == 404


def test_a_file_is_the_page_of_an_error(folder: Path) -> None:
    app = App(templates=folder)
    app.folder("pages", folder)
    (folder / "gone.html").write_text("<p>{{ path }}")
    (folder / "large").write_bytes(bytes(folders.MAX_PAGE_BYTES + 1))

    @app.error(404)
    async def missing(request: Request, error: HTTPError) -> Response:
        return Response(404, body=FileBody("404.html"))

    @app.error(410)
    async def gone(request: Request, error: HTTPError) -> Response:
        return Response.template("gone.html", {"path": request.path}, status=410, streaming=True)

    @app.get("/{status:int}")
    async def refuse(request: Request, status: int) -> Response:
        if status == 203:
            return Response(status, body=FileBody("css/site.css"))
        if status == 206:
            return Response(status, body=FileBody("large"))
        raise HTTPError(status)

    client = Client(app)
    whole = client.get("/x")
    assert (whole.status_code, whole.text) == (404, "<p>own page")
    assert whole.headers["content-type"] == "text/html; charset=utf-8"
    for headers in ({"Range": "bytes=0-1"}, {"If-None-Match": "*"}):
        again = client.get("/x", headers=headers)
        assert (again.status_code, again.text, "etag" in again.headers) == (404, "<p>own page", False)
    assert client.get("/410").text == "<p>/410"
    assert client.get("/203").text == "body {}"
    with pytest.raises(ValueError, match="is sent with status 200, not 206"):
        client.get("/206")


def test_two_folders_keep_their_files_apart(tmp_path: Path) -> None:
    app = App()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same").write_text(name)
        app.mount(f"/{name}", tmp_path / name)
    client = Client(app)
    assert [client.get(f"/{name}/same").text for name in ("one", "two", "one")] == ["one", "two", "one"]
    body = client.get("/two/same").made.body
    assert isinstance(body, Planned)
    (piece,) = body.pieces
    assert isinstance(piece, Slice)
    app.drop_caches()
    assert bytes(app.read(piece.content, 0, 3)) == b"two"
    (tmp_path / "two/same").write_text("other")
    app.drop_caches()
    with pytest.raises(ContentNotHere):
        app.read(piece.content, 0, 3)
    app.folder("one", tmp_path)
    with pytest.raises(LookupError, match="two folders are called 'one'"):
        client.get("/one/same")


def site(folder: Path) -> tuple[App, App]:
    outer, inner = App(), App(templates=folder)
    (folder / "page.html").write_text("{{ name }} {{ url_for('user', id=1) }} {{ url_for('home') }}")
    inner.folder("own", folder)

    @inner.get("/users/{id:int}")
    async def user(request: Request, id: int) -> list[object]:  # noqa: A002
        return [id, request.path, request.url_for("user", id=id), request.url_for("home"), request.app is inner]

    @inner.get("/page")
    async def page(request: Request) -> Response:
        return Response.template("page.html", {"name": "<b>"})

    @inner.get("/file")
    async def file(request: Request) -> Response:
        return Response.file("css/site.css", folder="own")

    @inner.post("/small", max_body_bytes=3)
    async def small(request: Request) -> bytes:
        return request.body

    @outer.get("/")
    async def home(request: Request) -> str:
        return request.url_for("admin:user", id=2)

    outer.mount("/admin", inner, name="admin")
    return outer, inner


def test_a_mounted_application_knows_where_it_is(folder: Path) -> None:
    outer, inner = site(folder)
    client = Client(outer)
    assert client.get("/admin/users/7").json() == [7, "/users/7", "/admin/users/7", "/", True]
    assert client.get("/").text == "/admin/users/2"
    assert outer.url_for("admin:user", id=3) == "/admin/users/3"
    assert inner.url_for("user", id=3) == "/admin/users/3"
    assert client.get("/admin/users/7/").headers["location"] == "/admin/users/7"
    assert client.get("/admin/nothing").status_code == 404
    assert client.post("/admin/page").headers["allow"] == "GET, HEAD, OPTIONS"
    with pytest.raises(NoSuchRoute):
        inner.url_for("nothing")
    with pytest.raises(NoSuchRoute):
        outer.url_for("admin:")


def test_the_outer_application_finds_the_inner_ones_bodies(folder: Path) -> None:
    outer, _ = site(folder)
    client = Client(outer)
    page = client.get("/admin/page")
    assert page.text == "&lt;b&gt; /admin/users/1 /"
    assert page.made.body == Complete(page.content)
    assert client.get("/admin/file").text == "body {}"
    outer.drop_caches()
    assert client.get("/admin/file").text == "body {}"
    other, _ = site(folder)  # as on another replica
    assert Client(other).get("/admin/page").content == page.content


def test_an_inner_routes_limit_holds_outside(folder: Path) -> None:
    outer, _ = site(folder)
    assert outer.terms(head("POST", "/admin/small")).max_body_bytes == 3
    with pytest.raises(HTTPError, match="413"):
        outer.terms(head("POST", "/admin/small", ("Content-Length", "4")))
    client = Client(outer)
    assert client.post("/admin/small", content=b"abc").content == b"abc"
    assert client.post("/admin/small", content=b"abcd").status_code == 413
    assert client.post("/admin/small", content=[b"ab", b"cd"]).status_code == 413


def test_an_app_is_mounted_once(folder: Path) -> None:
    outer, inner = site(folder)
    outer.mount("/again", inner)
    with pytest.raises(BadRoute, match="mounted twice"):
        Client(outer).get("/")
    other = App()
    other.mount("/{team}", App())
    with pytest.raises(BadRoute, match="without parameters"):
        Client(other).get("/")


def test_hashes_are_remembered_for_all_replicas(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = tmp_path_factory.mktemp("shared") / "digests"
    outer, inner = App(digests=digests), App()
    inner.mount("/files", folder)
    outer.mount("/in", inner)
    stamp = disk.stamp_of(str(folder / "big"))
    monkeypatch.setattr("time.time_ns", lambda: LATER_NS)  # what was written a moment ago is not remembered
    with Client(outer) as client:
        assert client.get("/in/files/big").content == (folder / "big").read_bytes()
    index = DigestIndex(digests)
    assert index.get(stamp) is not None
    index.close()


def test_groups_bring_their_folders_and_mounts(folder: Path) -> None:
    app, group = App(), Routes()
    group.mount("/files", folder, name="files")
    app.include("/deep", group)
    assert Client(app).get("/deep/files/css/site.css").text == "body {}"
    assert app.url_for("files", path="big") == "/deep/files/big"


def test_a_file_that_cannot_be_read_now_is_503_and_logged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = App()
    app.mount("/files", folder)
    with Client(app) as client:
        refuse(monkeypatch, errno.EIO)
        answer = client.get("/files/css/site.css")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "css/site.css" in caplog.text
        assert "Input/output error" in caplog.text
        monkeypatch.undo()
        assert client.get("/files/css/site.css").text == "body {}"


def test_the_largest_body_is_that_of_any_route() -> None:
    app, inner = App(max_body_bytes=10), App()
    assert app.largest_body_bytes == 10

    @inner.post("/large", max_body_bytes=1 << 30)
    def large(request: Request) -> bytes:
        return request.body

    app.mount("/inner", inner)
    assert app.largest_body_bytes == 1 << 30
