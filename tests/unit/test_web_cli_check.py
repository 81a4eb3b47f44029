"""`trickleweb check`: which routes of a program resume, in a table, and an exit code that a CI can use."""

from pathlib import Path

import pytest

from trickleweb.cli import main

PROGRAM = """
from itertools import count
from trickleweb import App, Response

app = App()
number = count()

@app.get("/short")
def short(request):
    return f"{next(number)}"

@app.get("/rows")
def rows(request):
    return Response.stream(f"row {at}\\n" for at in range(300))

@app.get("/rows/{n:int}")
def some(request, n):
    return "some"

@app.post("/post")
def post(request):
    return "posted"

broken = App()

@broken.get("/restless")
def restless(request):
    mine = next(number)
    return Response.stream(f"{mine} {at}\\n" for at in range(2000))

@broken.get("/failing")
def failing(request):
    raise RuntimeError("no answer")
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    (tmp_path / "to_be_checked.py").write_text(PROGRAM)
    return str(tmp_path)


def check(capsys: pytest.CaptureFixture[str], folder: str, *words: str) -> tuple[int, list[str]]:
    code = main(["check", *words, "--app-dir", folder, "--kills", "5"])
    return code, capsys.readouterr().out.splitlines()


def test_what_resumes_is_told_with_its_level(capsys: pytest.CaptureFixture[str], program: str) -> None:
    code, lines = check(capsys, program, "to_be_checked:app")
    assert code == 0
    rows = {line.split()[0]: line for line in lines}
    assert "200  yes      3, run again" in rows["/rows"]
    assert "200  yes      1, by offset" in rows["/short"]
    assert "    responses differ from run to run: use request.now and request.entropy" in lines
    assert "not tested: it takes parameters" in rows["/rows/{n:int}"]
    assert "/post" not in rows


def test_what_does_not_resume_fails_the_check(capsys: pytest.CaptureFixture[str], program: str) -> None:
    code, lines = check(capsys, program, "to_be_checked:broken")
    assert code == 1
    assert "  no " in next(line for line in lines if line.startswith("/restless"))
    assert any("broke off at byte" in line for line in lines)
    assert " 500 " in next(line for line in lines if line.startswith("/failing"))


def test_a_path_may_be_said(capsys: pytest.CaptureFixture[str], program: str) -> None:
    code, lines = check(capsys, program, "to_be_checked:app", "--get", "/rows/7", "--header", "X-Tried: yes")
    assert code == 0
    assert [line.split()[0] for line in lines] == ["GET", "/rows/7"]
