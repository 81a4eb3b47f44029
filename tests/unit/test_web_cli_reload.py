"""What makes replicas be replaced: files that change, and code that can be loaded."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.loop import on_loop
from tests.support.site_folder import fill, write
from trickleweb.cli import reload
from trickleweb.cli.child import Child
from trickleweb.cli.reload import Reloader, first_difference, snapshot

FILES = {"main.py": b"1", "inner/page.html": b"2", "data.csv": b"", ".venv/lib.py": b"", "__pycache__/main.py": b""}


def test_a_snapshot_has_what_code_is_made_of(tmp_path: Path) -> None:
    seen = snapshot(fill(tmp_path, FILES))
    assert sorted(os.path.relpath(path, tmp_path) for path in seen) == ["inner/page.html", "main.py"]


def test_a_change_is_seen_and_named(tmp_path: Path) -> None:
    before = snapshot(fill(tmp_path, FILES))
    write(tmp_path / "inner/page.html", b"33")
    after = snapshot(tmp_path)
    assert first_difference(before, after, tmp_path) == "inner/page.html"
    write(tmp_path / "fresh.py", b"")
    assert first_difference(after, snapshot(tmp_path), tmp_path) == "fresh.py"
    (tmp_path / "main.py").unlink()
    assert "main.py" not in snapshot(tmp_path)


class Replaced(Child):
    """A child that notes what would be done to it."""

    def __init__(self, name: str, told: "asyncio.Queue[str]") -> None:
        self.name = name
        self._told = told

    async def replaced(self) -> None:
        self._told.put_nowait(f"{self.name} replaced")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_PAUSE_S", 0.01)


def trying(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_replicas_are_replaced_one_by_one_unless_the_new_code_cannot_be_loaded(tmp_path: Path) -> None:
    fill(tmp_path, FILES)
    trial = "import pathlib, sys; sys.exit(pathlib.Path(sys.argv[1]).read_text() or 0)"

    async def test() -> None:
        told = asyncio.Queue[str]()
        reloader = Reloader(tmp_path, [*trying(trial), str(tmp_path / "main.py")])
        replicas = [Replaced("first", told), Replaced("second", told)]
        keeping = asyncio.create_task(reloader.keep(replicas, told.put_nowait))
        write(tmp_path / "main.py", b"trickleweb replica: it is broken")
        assert await told.get() == "main.py has changed"
        assert await told.get() == "the replicas are not replaced: it is broken"
        write(tmp_path / "main.py", b"")
        assert [await told.get() for _ in range(4)] == [
            "main.py has changed",
            "first replaced",
            "second replaced",
            "all replicas run the new code",
        ]
        keeping.cancel()

    on_loop(test())


def test_a_trial_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_LOAD_S", 0.05)
    reloader = Reloader(tmp_path, trying("import time; time.sleep(600)"))
    assert on_loop(reloader._problem()).startswith("loading takes more than")
