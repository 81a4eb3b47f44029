"""All that an application is made of, with a replica killed behind every packet: nobody notices."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from trickleweb import App, HTTPError, Request, Response, Routes
from trickleweb.app import WizardForm
from trickleweb.bodies import Level, Step
from trickleweb.files import SiteOptions
from trickleweb.middleware import compression, request_ids, security_headers, sessions
from trickleweb.testing import Verdict, get, run_chaos
from trickleweb.wizard import Wizard

ORDER = Wizard("order", ("address", "confirm"))
FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.html").write_text("{% for each in rows %}<li>{{ each }} {{ url_for('page') }}\n{% endfor %}")
    (tmp_path / "404.html").write_text("<p>nothing")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/data").write_bytes(bytes(range(256)) * 100)
    return tmp_path


def site(folder: Path) -> App:
    """An application inside another one, inside middleware, with all kinds of answers."""
    outer = App(middleware=[request_ids(), security_headers(), sessions(), compression()])
    inner, group = App(templates=folder), Routes(middleware=[compression()])
    outer.mount("/in", inner, name="in")
    inner.include("/group", group)
    group.mount("/files", inner.folder("files", folder / "files", SiteOptions(listing=True)))
    fill_outer(outer)
    fill_inner(inner)
    return outer


def fill_outer(outer: App) -> None:
    @outer.get("/visit")
    async def visit(request: Request) -> str:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return f"{request.csrf_token()} {request.seal('page', 1, ttl=10**9)}"

    @outer.get("/text")
    def text(request: Request) -> str:
        return "compressible " * 500

    @outer.error(418)
    async def teapot(request: Request, error: HTTPError) -> Response:
        return Response.html("<p>short and stout" * 300, status=418)

    @outer.get("/fail")
    async def fail(request: Request) -> None:
        raise HTTPError(418)


def fill_inner(inner: App) -> None:
    @inner.get("/page")
    async def page(request: Request) -> Response:
        streaming = "stream" in request.query
        return Response.template("page.html", {"rows": list(range(400))}, streaming=streaming)

    @inner.steps("inner rows")
    async def rows(cursor: int, name: str) -> AsyncIterator[Step]:
        for at in range(cursor, 300):
            yield f"{name} {at:040}\n", at + 1

    @inner.get("/rows/{name}")
    async def export(request: Request, name: str) -> Response:
        return Response.stepped(rows.at(0, name=name))

    @inner.route("/order", methods=["GET", "POST"])
    async def order(request: Request) -> Any:
        form = WizardForm(ORDER, request, principal="anna")
        if request.method == "POST":
            form.answer(city=request.form()["city"] * 1000)
        return {"step": form.step, "wizard": form.token}


def tried(folder: Path, request: bytes, status: int = 200) -> Verdict:
    """The verdict; of an unsafe request that a death found under way, on a busy machine, the outcome is unknown."""
    verdict = run_chaos(lambda: site(folder), request, most_boundaries=8)
    assert verdict.breaks == ()
    assert verdict.errors == ()
    assert verdict.status == status
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "level"),
    [
        ("/visit", Level.ADDRESSABLE),
        ("/text", Level.ADDRESSABLE),
        ("/in/page", Level.ADDRESSABLE),
        ("/in/page?stream=1", Level.REPLAYED),
        ("/in/rows/anna", Level.STEPPED),
        ("/in/order", Level.ADDRESSABLE),
        ("/in/group/files/data", Level.ADDRESSABLE),
        ("/in/group/files/", Level.ADDRESSABLE),
    ],
)
def test_what_is_answered_goes_on(folder: Path, path: str, level: Level) -> None:
    verdict = tried(folder, get(path, "Accept-Encoding: gzip", "Accept: text/html"))
    assert (verdict.level, verdict.resumes) == (level, True)


@pytest.mark.parametrize(("path", "status"), [("/fail", 418), ("/in/group/files/none", 404), ("/in/page/", 308)])
def test_errors_and_redirects_go_on_too(folder: Path, path: str, status: int) -> None:
    tried(folder, get(path), status)


def test_a_part_of_a_file_goes_on(folder: Path) -> None:
    verdict = tried(folder, get("/in/group/files/data", "Range: bytes=100-20099"), 206)
    assert verdict.size_bytes > 20_000


def test_a_step_of_a_form_is_answered_once_or_said_to_be_unknown(folder: Path) -> None:
    tried(folder, get("/in/order", FORM, method="POST", body=b"city=Bern"))
