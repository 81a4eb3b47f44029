"""Programs by name: what is found, what it is taken for, and in one line why not."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosting import answered
from tests.support.loop import on_loop
from tests.support.web import request
from trickles.command import CommandFailed, Parser
from trickleweb import App
from trickleweb.asgi import AsgiApplication
from trickleweb.cli.app_options import ProgramOptions, app_words
from trickleweb.cli.loading import load_program
from trickleweb.cli.replica import add_arguments
from trickleweb.limits import DEFAULT_LIMITS
from trickleweb.wsgi import WsgiApplication

PROGRAMS = """
import functools
from trickleweb import App

app = App()

async def asgi(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})

class Asgi:
    async def __call__(self, scope, receive, send):
        await asgi(scope, receive, send)
    async def method(self, scope, receive, send):
        await asgi(scope, receive, send)

class Plain:
    def __call__(self, scope, receive, send):
        return asgi(scope, receive, send)

def wsgi(environ, start_response, extra=None):
    start_response("200 OK", [])
    return [b"wsgi"]

class Wsgi:
    def __call__(self, environ, start_response):
        return wsgi(environ, start_response)

instance, plain, wsgi_instance = Asgi(), Plain(), Wsgi()
method, partial = instance.method, functools.partial(asgi)
wrapped = functools.partial(lambda extra, environ, start_response: wsgi(environ, start_response), 1)

def opaque(*arguments):
    return wsgi(*arguments)

def make():
    return asgi

def make_wsgi():
    return wsgi

def broken():
    raise LookupError("in the factory")

number, nothing = 7, None

def two(scope):
    pass

def none():
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with programs; what is imported from it is forgotten."""
    known, paths = set(sys.modules), list(sys.path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "programs_of_a_test.py").write_text(PROGRAMS)
    yield tmp_path
    sys.path[:] = paths
    for name in set(sys.modules) - known:
        if "_of_a_test" in name:
            del sys.modules[name]


def load(folder: Path, name: str, **options: Any) -> Any:
    whole = name if ":" in name else f"programs_of_a_test:{name}"
    return load_program(ProgramOptions(name=whole, folder=str(folder), **options))


@pytest.mark.parametrize("name", ["asgi", "instance", "plain", "method", "partial", "instance.method"])
def test_a_program_for_asgi_is_known_by_what_it_takes(folder: Path, name: str) -> None:
    application = load(folder, name)
    assert type(application) is AsgiApplication
    assert on_loop(answered(application))[1] == b"asgi"


@pytest.mark.parametrize("name", ["wsgi", "wsgi_instance", "wrapped"])
def test_a_program_for_wsgi_too(folder: Path, name: str) -> None:
    application = load(folder, name)
    assert type(application) is WsgiApplication
    assert on_loop(answered(application))[1] == b"wsgi"


def test_what_cannot_be_known_must_be_said(folder: Path) -> None:
    with pytest.raises(CommandFailed, match=r"opaque is no ASGI 3 program; for a WSGI program use --wsgi$"):
        load(folder, "opaque")
    assert on_loop(answered(load(folder, "opaque", wsgi=True)))[1] == b"wsgi"


def test_a_factory_is_called(folder: Path) -> None:
    assert type(load(folder, "make", factory=True)) is AsgiApplication
    assert type(load(folder, "make_wsgi", factory=True)) is WsgiApplication


def test_an_application_of_this_framework_is_served_as_it_is(folder: Path) -> None:
    application = load(folder, "app")
    assert isinstance(application, App)
    assert load(folder, "app", max_body_bytes=7).max_body_bytes == 7
    assert load(folder, "app") is application


def test_the_options_reach_the_program(folder: Path) -> None:
    for name in ("asgi", "wsgi"):
        terms = load(folder, name, max_body_bytes=7, repeat=("PUT",)).terms(request("PUT").head)
        assert (terms.max_body_bytes, terms.repeatable) == (7, True)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("nothing_of_a_test:app", {}, r"there is no module nothing_of_a_test in .+, and none is installed"),
        ("nothing_of_a_test.inner:app", {}, r"there is no module nothing_of_a_test.inner in "),
        ("missing", {}, "the module programs_of_a_test has no missing"),
        ("instance.missing", {}, "the module programs_of_a_test has no instance.missing"),
        ("number", {}, "programs_of_a_test:number is an int, not an ASGI or WSGI program"),
        ("nothing", {}, "programs_of_a_test:nothing is a NoneType, not an ASGI or WSGI program"),
        ("Asgi", {}, "programs_of_a_test:Asgi is a class, not a program: use --factory"),
        ("make", {}, "programs_of_a_test:make takes no arguments: use --factory"),
        ("two", {}, "programs_of_a_test:two is no ASGI 3 program"),
        ("number", {"factory": True}, "programs_of_a_test:number is an int, not a factory"),
        ("none", {"factory": True}, "programs_of_a_test:none is a NoneType, not an ASGI or WSGI program"),
        (
            "broken",
            {"factory": True},
            r"calling .*:broken failed: LookupError: in the factory \(.*.py:\d+\)",
        ),
        ("no-name:app", {}, "'no-name:app' names no program: use MODULE:ATTRIBUTE"),
        ("programs_of_a_test:", {}, "names no program"),
        ("../programs_of_a_test:app", {}, "names no program"),
    ],
)
def test_what_is_no_program_is_told_in_one_line(folder: Path, name: str, options: dict[str, bool], why: str) -> None:
    with pytest.raises(CommandFailed, match=f"^{why}" if why[0] != "n" else why) as caught:
        load(folder, name, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 / 0", r"importing broken_of_a_test failed: ZeroDivisionError: division by zero \(broken_of_a_test.py:1\)"),
        ("\n\ndef (", r"importing broken_of_a_test failed: SyntaxError: .*\(broken_of_a_test.py, line 3\)$"),
        ("import nowhere_of_a_test", r"failed: No module named 'nowhere_of_a_test' \(broken_of_a_test.py:1\)"),
        ("raise SystemExit('no')", "importing broken_of_a_test failed: SystemExit: no"),
    ],
)
def test_a_module_that_cannot_be_imported_says_where(folder: Path, text: str, why: str) -> None:
    (folder / "broken_of_a_test.py").write_text(text)
    with pytest.raises(CommandFailed, match=why):
        load(folder, "broken_of_a_test:app")


def parsed(*words: str) -> Any:
    parser = Parser(prog="test")
    add_arguments(parser)
    return parser.parse_args(["--udp", "127.0.0.1:0", *words])


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("65536", 65536), ("64K", 65536), ("300M", 300 << 20), ("1g", 1 << 30), ("2T", 2 << 40)],
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert parsed("--max-body", text).max_body == size


@pytest.mark.parametrize(
    "words",
    [
        ("--max-body", "1.5G"),
        ("--max-body", "-1"),
        ("--max-body", "K"),
        ("--repeat", "GET"),
        ("--repeat", "PUT;"),
        ("--repeat", "REPORT"),
        ("--repeat", ""),
    ],
)
def test_nonsense_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert "not a size" in (told := capsys.readouterr().err) or "not a list of unsafe methods" in told


def test_methods_that_may_be_repeated_are_the_idempotent_ones_or_those_that_are_named() -> None:
    assert parsed().repeat == ("PUT", "DELETE")
    assert parsed("--repeat", "none").repeat == ()
    assert parsed("--repeat", "mkcol, PROPPATCH").repeat == ("MKCOL", "PROPPATCH")


def test_programs_take_a_gigabyte_and_an_app_its_own_limit(folder: Path) -> None:
    for name in ("asgi", "wsgi"):
        assert load(folder, name).terms(request("POST").head).max_body_bytes == 1 << 30
    assert load(folder, "app").max_body_bytes == DEFAULT_LIMITS.max_body_bytes


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--factory", "--wsgi", "--threads", "7", "--max-body", "1M", "--repeat", "put,DELETE", "--app-dir=-odd"],
        ["--repeat", "none"],
    ],
)
def test_the_replicas_get_the_same_options(words: list[str]) -> None:
    args = parsed("--app", "a:b", *words)
    assert parsed(*app_words("a:b", args)) == args
