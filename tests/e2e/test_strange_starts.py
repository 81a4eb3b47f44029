"""Fleets that start in odd places, and programs that do odd things while they are imported."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.served import Served, ends, running, served

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("strange starts")]

APP = """
from trickleweb import App

app = App()


@app.get("/")
async def home(request):
    return "here"
"""
ODD = {
    "prints": "import sys; print('loading'); print('replica on nothing', end=''); print('more', file=sys.stderr)",
    "prints by itself": "import os; os.write(1, b'loading...\\n')",
    "closes standard output": "import sys; sys.stdout.close()",
    "has its own standard output": "import io, sys; sys.stdout = io.StringIO()",
    "has a thread that prints": (
        "import threading, time\ndef speak():\n    while not time.sleep(0.001):\n        print('word')\n"
        "threading.Thread(target=speak, daemon=True).start()"
    ),
    "goes elsewhere": "import os, tempfile; os.chdir(tempfile.gettempdir())",
}


def died_and_came_back(fleet: Served, name: str, pid: int | None = None) -> None:
    """Kill a process, and wait until the supervisor says that another is in its place."""
    before = pid or fleet.pid(name)
    os.kill(before, signal.SIGKILL)
    assert ends(before)
    while fleet.program.errors.next() != f"trickleweb {fleet.command}: {name} is back":
        pass


@pytest.mark.parametrize("odd", ODD)
def test_a_program_does_what_it_likes_while_it_is_imported(tmp_path: Path, odd: str) -> None:
    (tmp_path / "odd.py").write_text(f"{ODD[odd]}\n{APP}")
    words = ("--run-dir", "run", "--replicas", "2")  # a name that means something here alone
    with running("odd:app", tmp_path / "run", *words, within=tmp_path) as fleet:
        assert fleet.get("/") == b"here"
        died_and_came_back(fleet, "replica-0")
        died_and_came_back(fleet, "replica-1")
        assert fleet.get("/") == b"here"
        assert (fleet.run_dir / "replica-1.json").exists()


def test_what_a_program_prints_when_it_is_imported_is_seen(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(f"print('loading')\n{APP}")
    with running("odd:app", tmp_path / "run", "--replicas", "1", within=tmp_path) as fleet:
        assert fleet.program.errors.next() == "loading"


def test_no_file_of_the_folder_that_one_is_in_is_run(tmp_path: Path) -> None:
    for name in ("json", "socket", "trickles", "h11", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is a page')")
    with served(Path(), tmp_path / "run", within=tmp_path) as fleet:
        os.kill(fleet.status()["forkserver"], signal.SIGKILL)
        died_and_came_back(fleet, "replica-0")
        died_and_came_back(fleet, "gateway")
        assert fleet.get("/json.py").startswith(b"raise")


def test_the_folder_that_it_was_started_in_is_removed(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page").write_text("here")
    (tmp_path / "place").mkdir()
    words = ("--run-dir", "run", "--spool", "spool")
    with served(Path("../site"), tmp_path / "place" / "run", *words, within=tmp_path / "place") as fleet:
        pids = {name: fleet.pid(name) for name in ("replica-0", "gateway")}
        shutil.rmtree((tmp_path / "place").rename(tmp_path / "gone"))
        for name, pid in pids.items():
            died_and_came_back(fleet, name, pid)
        assert fleet.get("/page") == b"here"
