"""The example applications and those of the tutorial: a replica killed behind every packet of each kind of response."""

from pathlib import Path
from typing import Any

import pytest

from apps.catalogue import app as catalogue
from apps.export import app as export
from tests.support.console import blocks
from tests.support.processes import ROOT
from trickleweb.application import Application
from trickleweb.asgi import AsgiApplication
from trickleweb.bodies import Level
from trickleweb.testing import Verdict, get, run_chaos

FORM = "Content-Type: application/x-www-form-urlencoded"


def every_boundary(application: Application, request: bytes) -> Verdict:
    """The verdict, after a death behind each packet; an unsafe request may be found under way, and left unknown."""
    verdict = run_chaos(lambda: application, request, most_boundaries=10_000)
    assert verdict.kills == 2 * verdict.packets
    assert (verdict.breaks, verdict.errors) == ((), ())
    assert verdict.unknown == 0 or request.startswith(b"POST ")
    return verdict


@pytest.mark.slow
def test_the_export_goes_on_from_a_cursor() -> None:
    verdict = every_boundary(export, get("/orders.csv?rows=2200"))
    assert (verdict.status, verdict.level, verdict.steady) == (200, Level.STEPPED, True)
    assert every_boundary(export, get("/orders.csv?rows=x")).status == 400
    assert every_boundary(export, get("/")).status == 303


@pytest.fixture(scope="module")
def foreign() -> AsgiApplication:
    return AsgiApplication(catalogue, lifespan="off")


@pytest.mark.parametrize("path", ["/items/7", "/items?count=150", "/ticks?count=6&pause=0", "/nowhere", "/docs"])
def test_the_catalogue_is_run_again(foreign: AsgiApplication, path: str) -> None:
    verdict = every_boundary(foreign, get(path))
    assert verdict.steady
    assert verdict.status == (404 if path == "/nowhere" else 200)


def test_the_catalogue_answers_a_post_once(foreign: AsgiApplication) -> None:
    body = b"[1, 2, 3]"
    assert every_boundary(foreign, get("/items", "Content-Type: application/json", method="POST", body=body)).steady


def test_pages_of_notes_come_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTES_DATABASE", str(tmp_path / "notes.sqlite"))
    from apps.notes import app as notes

    for path, status in (("/", 200), ("/notes.txt", 403), ("/static/notes.css", 200)):
        verdict = run_chaos(lambda: notes, get(path))
        assert (verdict.status, verdict.breaks) == (status, ())
    assert every_boundary(notes, get("/notes", FORM, method="POST", body=b"text=a")).status == 403


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Application]:
    """The programs of the tutorial, by the names of their files."""
    monkeypatch.chdir(tmp_path)
    programs: dict[str, Application] = {}
    for block in blocks((ROOT / "docs" / "tutorial-web.md").read_text()):
        if block.language == "html":
            (tmp_path / block.word).parent.mkdir(exist_ok=True)
            (tmp_path / block.word).write_text(block.text)
        elif block.language == "python" and not block.word.startswith("test_"):
            names: dict[str, Any] = {}
            exec(block.text, names)
            programs[block.word] = names["app"]
    return programs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "request_bytes", "status"),
    [
        ("hello.py", get("/"), 200),
        ("hello.py", get("/double/21"), 200),
        ("hello.py", get("/double/many"), 404),
        ("pages.py", get("/greet", FORM, method="POST", body=b"name=Ada"), 200),
        ("stream.py", get("/lines?count=900"), 200),
        ("export.py", get("/squares.csv?rows=3000"), 200),
    ],
    ids=["hello", "JSON", "missing", "page", "stream", "export"],
)
def test_the_tutorial_resumes(tutorial: dict[str, Application], name: str, request_bytes: bytes, status: int) -> None:
    verdict = every_boundary(tutorial[name], request_bytes)
    assert (verdict.status, verdict.steady) == (status, True)
