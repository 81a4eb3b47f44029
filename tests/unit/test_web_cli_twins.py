"""State that a program keeps in memory is found by asking several instances of it, and nothing else is taken for it."""

import asyncio
from pathlib import Path

import pytest

from trickles.command import CommandFailed
from trickleweb.cli import main
from trickleweb.cli.app_options import ProgramOptions
from trickleweb.cli.twins import Session, remembered

pytestmark = pytest.mark.slow  # instances are processes

PROGRAM = """
import os, secrets
from itertools import count
from pathlib import Path
from trickleweb import App, Response

print("a line that is no answer")
app = App()
number, sessions, made_at_the_start = count(), set(), secrets.token_hex()

@app.get("/counter")
def counter(request):
    return f"{next(number)}"

@app.get("/session")
def session(request):
    name = request.cookies.get("sid")
    if name in sessions:
        return "known"
    sessions.add(name := secrets.token_hex())
    return Response.text("new", headers=[("Set-Cookie", f"sid={name}")])

@app.get("/signed")
def signed(request):
    if "key" in request.cookies and request.cookies["key"] != made_at_the_start:
        return Response.text("", status=403)
    return Response.text("", headers=[("Set-Cookie", f"key={made_at_the_start}")])

@app.get("/constant")
def constant(request):
    return "always this"

@app.get("/token")
def token(request):
    return secrets.token_hex()

@app.get("/process")
def process(request):
    return f"{os.getpid()}"

@app.get("/file")
def file(request):
    path = Path(__file__).with_name("visits")
    with path.open("a+") as file:
        file.write("x")
    return f"{path.stat().st_size}"

@app.get("/cookie")
def cookie(request):
    visits = int(request.cookies.get("visits", "0")) + 1
    return Response.text(f"{visits}", headers=[("Set-Cookie", f"visits={visits}")])

@app.get("/endless")
def endless(request):
    return Response.stream(f"{at}" for at in count())

@app.get("/failing")
def failing(request):
    raise RuntimeError

"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "of_several.py").write_text(PROGRAM)
    return str(tmp_path)


def found(folder: str, *paths: str, headers: tuple[str, ...] = ()) -> dict[str, str]:
    session = Session(paths, headers, 300, 1 << 16)
    return asyncio.run(remembered(ProgramOptions(name="of_several:app", folder=folder), session))


def test_counters_sessions_and_keys_in_memory_are_found(folder: str) -> None:
    assert found(folder, "/counter", "/session", "/signed", "/constant") == {
        "/counter": "another body",
        "/session": "a new cookie sid",
        "/signed": "status 403 instead of 200",
    }


def test_chance_and_what_instances_share_is_not_taken_for_memory(folder: str) -> None:
    paths = ("/constant", "/token", "/process", "/file", "/cookie", "/endless", "/failing", "/nowhere")
    assert found(folder, *paths, headers=("Cookie: mine=1", "X-Any: 2")) == {}


def test_an_instance_that_does_not_start_is_an_error(folder: str) -> None:
    options = ProgramOptions(name="of_several:nothing", folder=folder)
    with pytest.raises(CommandFailed, match="has no nothing"):
        asyncio.run(remembered(options, Session(["/"], [], 60, 1000)))


def test_an_instance_that_dies_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mortal.py").write_text("import os\nasync def app(scope, receive, send):\n    os._exit(3)\n")
    with pytest.raises(CommandFailed, match="ended or did not answer"):
        asyncio.run(remembered(ProgramOptions(name="mortal:app", folder=str(tmp_path)), Session(["/"], [], 60, 1000)))


def test_the_check_fails_for_state_in_memory(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    words = ["check", "of_several:app", "--app-dir", folder, "--kills", "1", "--get", "/constant", "--get", "/counter"]
    assert main([*words, "--alone"]) == 0
    assert main(words) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("/counter ")
    assert last.endswith(" keeps state in memory: another instance gives another body (see docs/programs.md)")
