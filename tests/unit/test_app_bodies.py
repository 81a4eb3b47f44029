"""Bodies as handlers return them: templates are seen to before they are sent, steps are known to the application."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.support.web import collect
from trickleweb import App, Request, Response, Routes, Step, stepping, steps
from trickleweb.app import UnknownSteps
from trickleweb.bodies import Checkpoint, Complete, Stepped, Streamed
from trickleweb.bodies.steps import BadSteps
from trickleweb.testing import Client, IncompleteResponse


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    (tmp_path / "page.html").write_text("<p>{{ name }} {{ url_for('page') }}")
    (tmp_path / "rows.html").write_text("{% for each in rows %}{{ each }},{% endfor %}")
    (tmp_path / "broken.html").write_text("{{ nothing }}")
    (tmp_path / "shout.html").write_text("{{ 'x'|shout }}")
    return tmp_path


def paged(templates: Path) -> App:
    app = App(templates=templates)

    @app.get("/page")
    async def page(request: Request) -> Response:
        return Response.template(request.query.get("name") or "page.html", {"name": "<script>"})

    @app.get("/rows")
    async def rows(request: Request) -> Response:
        return Response.template("rows.html", {"rows": [1, "<b>"]}, streaming=True)

    return app


def test_templates_escape_and_know_the_routes(templates: Path) -> None:
    app = paged(templates)
    answer = Client(app).get("/page")
    assert answer.text == "<p>&lt;script&gt; /page"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.made.body == Complete(answer.content)
    app.drop_caches()
    assert Client(app).get("/page").content == answer.content
    assert Client(paged(templates)).get("/page").content == answer.content


def test_streaming_templates_are_streams(templates: Path) -> None:
    answer = Client(paged(templates)).get("/rows")
    assert answer.text == "1,&lt;b&gt;,"
    assert isinstance(answer.made.body, Streamed)
    assert "content-length" not in answer.headers


@pytest.mark.parametrize(("name", "error"), [("broken.html", "UndefinedError"), ("../secret", "TemplateNotFound")])
def test_a_template_that_fails_is_an_error_page(templates: Path, name: str, error: str) -> None:
    app = paged(templates)
    app.error(500)(lambda request, error: f"sorry: {type(error).__name__}")
    client = Client(app, raise_server_exceptions=False)
    answer = client.get("/page", params={"name": name})
    assert (answer.status_code, answer.text) == (500, f"sorry: {error}")


def test_templates_can_be_given_filters_and_folders(templates: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = tmp_path_factory.mktemp("first")
    (first / "page.html").write_text("mine")
    app = App(templates=[first, templates])
    assert app.templates is not None
    app.templates.filters["shout"] = lambda text: f"{text}!"
    app.get("/shout")(lambda request: Response.template("shout.html"))
    app.get("/page")(lambda request: Response.template("page.html"))
    client = Client(app)
    assert client.get("/shout").text == "x!"
    assert client.get("/page").text == "mine"


def test_a_changed_template_is_read_again_only_in_debug_mode(templates: Path) -> None:
    for debug in (False, True):
        (templates / "page.html").write_text("old")
        app = App(templates=templates, debug=debug)
        app.get("/{name}")(lambda request, name: Response.template(name))
        client = Client(app)
        assert client.get("/page.html").content == b"old"
        (templates / "page.html").write_text("newer")
        assert client.get("/page.html").content == (b"newer" if debug else b"old")
        with pytest.raises(jinja2.TemplateNotFound):
            client.get("/none.html")


@steps("numbers")
def numbers(cursor: int, *, stop: int = 4) -> Iterator[Step]:
    for number in range(cursor, stop):
        yield f"{number}\n", number + 1


def test_steps_come_by_the_constructor_a_decorator_or_a_group() -> None:
    app, group, inner = App(steps=[numbers]), Routes(), App()

    @app.steps("letters", version=2)
    async def letters(cursor: int) -> AsyncIterator[Step]:
        for letter in "ab"[cursor:]:
            yield letter, cursor + 1

    @app.steps.stepping("down")
    def down(cursor: int) -> Step | None:
        return (f"{cursor}", cursor - 1) if cursor else None

    @stepping("grouped")
    async def grouped(cursor: int) -> Step | None:
        return ("x", cursor + 1) if cursor < 3 else None

    @inner.steps("inner")
    def innermost(cursor: int) -> Iterator[Step]:
        yield "y", 1

    group.add_steps(grouped)
    app.include("/group", group)
    app.mount("/inner", inner)
    for known in (numbers, letters, down, grouped):
        app.get(f"/{known.name}")(lambda request, known=known: Response.stepped(known.at(1)))
    inner.get("/")(lambda request: Response.stepped(innermost.at(0)))
    client = Client(app)
    texts = [client.get(path).text for path in ("/numbers", "/letters", "/down", "/grouped", "/inner/")]
    assert texts == ["1\n2\n3\n", "b", "1", "xx", "y"]
    assert sorted(app.steps.steps) == ["down", "grouped", "inner", "letters", "numbers"]
    resumed = app.steps.unpack(Checkpoint(letters.at(1)).pack()).body
    assert [data for data, _ in collect(_async(resumed))] == ["b"]


def _async(body: Stepped) -> AsyncIterator[Step]:
    run = body.run()
    assert isinstance(run, AsyncIterator)
    return run


def test_unknown_steps_are_refused_with_the_way_out() -> None:
    app = App()
    app.get("/")(lambda request: Response.stepped(numbers.at(0)))
    with pytest.raises(UnknownSteps, match=r"App\(steps=\[\.\.\.\]\), or decorate them with @app\.steps\('numbers'\)"):
        Client(app).get("/")
    app.add_steps(numbers)
    assert Client(app).get("/").text == "0\n1\n2\n3\n"


def test_two_steps_of_one_name_are_refused() -> None:
    app, inner = App(steps=[numbers]), App(steps=[steps("numbers")(lambda cursor: iter(()))])
    app.mount("/inner", inner)
    with pytest.raises(BadSteps, match="two generators are called 'numbers'"):
        Client(app).get("/")


def test_streams_go_out_in_pieces_and_can_tell_their_length() -> None:
    async def chunks() -> AsyncIterator[Any]:
        yield "ü"
        yield b"\0"

    app = App()
    app.get("/a")(lambda request: Response.stream(chunks()))
    app.get("/b")(lambda request: Response(body=Streamed(["ab", "c"], byte_count=3)))
    app.get("/c")(lambda request: Response(body=Streamed(["ab"], byte_count=3)))
    client = Client(app)
    assert client.get("/a").content == "ü\0".encode()
    assert client.get("/b").headers["content-length"] == "3"
    assert (client.head("/b").content, client.head("/b").headers["content-length"]) == (b"", "3")
    with pytest.raises(IncompleteResponse, match="after 2 bytes: announced were 3"):
        client.get("/c")
