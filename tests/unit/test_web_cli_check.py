"""`trickleweb check`: which routes of a program resume, in a table, and an exit code that a CI can use."""

import os
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from trickleweb.cli import main

PROGRAM = """
import os
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

@broken.get("/breaking")
def breaking(request):
    def pieces():
        yield "begun"
        raise LookupError("the rest is gone")
    return Response.stream(pieces())

@broken.get("/a-leaving")
def leaving(request):
    os._exit(3)

@broken.get("/b-leaving-late")
def leaving_late(request):
    def pieces():
        yield "begun"
        os._exit(4)
    return Response.stream(pieces())

@broken.get("/c-child")
def child(request):
    child = os.fork()
    if not child:
        os._exit(5)
    return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

def wsgi(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/exit":
        os._exit(6)
    return [b"whole"]

endless = App()

@endless.get("/endless")
def ticks(request):
    return Response.stream(f"tick {at}\\n" for at in count())
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    (tmp_path / "to_be_checked.py").write_text(PROGRAM)
    return str(tmp_path)


def check(capsys: pytest.CaptureFixture[str], folder: str, *words: str) -> tuple[int, list[str]]:
    code = main(["check", *words, "--app-dir", folder, "--kills", "5", "--alone"])
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


@pytest.mark.slow
def test_what_does_not_resume_fails_the_check(capsys: pytest.CaptureFixture[str], program: str) -> None:
    code, lines = check(capsys, program, "to_be_checked:broken")
    assert code == 1
    assert "  no " in next(line for line in lines if line.startswith("/restless"))
    assert any("broke off at byte" in line for line in lines)
    assert " 500 " in next(line for line in lines if line.startswith("/failing"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_what_breaks_off_by_itself_or_ends_its_process_is_reported_as_that(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, program: str
) -> None:
    leave = os._exit
    code, lines = check(capsys, program, "to_be_checked:broken")
    assert code == 1
    after = {line.split()[0]: following for line, following in pairwise(lines)}
    assert "without any death it broke off at byte" in after["/breaking"]
    assert "LookupError('the rest is gone')" in after["/breaking"]
    assert " 500 " in next(line for line in lines if line.startswith("/a-leaving"))
    assert "os._exit(3)" in caplog.text
    assert "without any death it broke off" in after["/b-leaving-late"]
    assert "os._exit(4)" in after["/b-leaving-late"]
    assert " 200  yes " in next(line for line in lines if line.startswith("/c-child"))
    assert os._exit is leave


def test_a_wsgi_program_is_tested_on_all_paths_after_one_that_ends_its_process(
    capsys: pytest.CaptureFixture[str], program: str
) -> None:
    code, lines = check(capsys, program, "to_be_checked:wsgi", "--wsgi", "--get", "/exit", "--get", "/", "--get", "/a")
    assert code == 1
    assert " 500 " in lines[1]
    assert "os._exit(6)" in lines[2]
    assert [line.split()[:3] for line in lines[3:]] == [["/", "200", "yes"], ["/a", "200", "yes"]]


def test_a_path_may_be_said(capsys: pytest.CaptureFixture[str], program: str) -> None:
    code, lines = check(capsys, program, "to_be_checked:app", "--get", "/rows/7", "--header", "X-Tried: yes")
    assert code == 0
    assert [line.split()[0] for line in lines] == ["GET", "/rows/7"]


def test_an_error_status_fails_the_check_unless_it_is_expected(
    capsys: pytest.CaptureFixture[str], program: str
) -> None:
    assert check(capsys, program, "to_be_checked:app", "--get", "/nowhere")[0] == 1
    assert check(capsys, program, "to_be_checked:app", "--get", "/nowhere", "--expect", "401")[0] == 1
    assert (
        check(capsys, program, "to_be_checked:app", "--get", "/nowhere", "--expect", "401", "--expect", "404")[0] == 0
    )
    assert check(capsys, program, "to_be_checked:broken", "--get", "/failing")[0] == 1


@pytest.mark.slow
def test_a_response_without_end_is_tried_within_bounds(capsys: pytest.CaptureFixture[str], program: str) -> None:
    code, lines = check(capsys, program, "to_be_checked:endless", "--limit", "20K")
    assert code == 0
    row = next(line for line in lines if line.startswith("/endless"))
    assert "200  yes      3, run again" in row
    assert int(row.split()[-3]) >= 20 << 10
    assert lines[-1].startswith("    did not end within 6 s and 20480 bytes")


def test_the_number_of_responses_has_a_bound(capsys: pytest.CaptureFixture[str], program: str) -> None:
    code, lines = check(capsys, program, "to_be_checked:app", "--most", "1")
    assert code == 0
    assert [line.split()[0] for line in lines] == ["GET", "/rows", "/rows/{n:int}", "/short"]
    assert lines[-1].endswith("not tested: use a larger --most")


def test_progress_is_shown_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["check", "to_be_checked:app", "--get", "/rows/7", "--app-dir", program, "--kills", "2", "--alone"])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main(["check", "to_be_checked:app", "--get", "/rows/7", "--app-dir", program, "--kills", "2", "--alone"])
    shown = capsys.readouterr().err
    assert "/rows/7: death 4 of 4" in shown
    assert shown.endswith("\r\x1b[K")


def test_one_death_is_enough(capsys: pytest.CaptureFixture[str], program: str) -> None:
    assert main(["check", "to_be_checked:app", "--get", "/rows", "--app-dir", program, "--kills", "1", "--alone"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[-1] == "2"
