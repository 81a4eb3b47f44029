"""The pages about applications: each is one program in pieces, run from top to bottom in a folder of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from tests.support.vectors import DOCS

PAGES = [
    "handlers.md", "middleware.md", "bodies.md", "events.md", "requests.md", "sessions-and-forms.md", "testing.md",
    "uploads.md",
]  # fmt: skip
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block; one with a file's name is that file's content, one of Python without is run."""

    language: str
    name: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield Block(found[1], found[2] or "", found[3], text[: found.start()].count("\n") + 2)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module, run = ModuleType("page"), 0
    monkeypatch.setitem(sys.modules, "page", module)
    for block in blocks(page):
        if block.name:
            (tmp_path / block.name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.name).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            lines = "\n" * (block.line - 1) + block.text  # so that a failure tells the page's line
            exec(compile(lines, str(DOCS / page), "exec", dont_inherit=True), module.__dict__)
            run += 1
    assert run >= 3, "the page has lost its programs"


@pytest.mark.parametrize("page", PAGES)
def test_the_page_checks_what_it_says(page: str) -> None:
    checks = [block for block in blocks(page) if block.language == "python" and "assert " in block.text]
    assert len(checks) >= 2
