"""The pages of docs/: every link leads somewhere, pictures are what their script draws; README has all clients."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.vectors import DOCS
from tests.support.versions import PACKAGES, PROGRAMS

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PAGES = sorted(DOCS.glob("*.md"))


def links(page: Path) -> Iterator[str]:
    """Where a page's links lead, those to other sites left out."""
    text = re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))
    yield from (target for target in LINK.findall(text) if "://" not in target)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_pictures_are_what_the_script_draws() -> None:
    drawn = runpy.run_path(str(DOCS / "draw_trickle.py"))["pictures"]()
    assert drawn
    for name, picture in drawn.items():
        assert (DOCS / name).read_text(encoding="ascii") == picture, "run: python docs/draw_trickle.py"


def test_the_reference_finds_every_public_name() -> None:
    for package in runpy.run_path(str(DOCS / "make_reference.py"))["resolved"]():
        module = import_module(package)
        assert set(module.__all__) <= set(vars(module)), package


@pytest.mark.parametrize("name", [*PROGRAMS, *PACKAGES])
def test_a_client_is_in_the_table_of_the_readme_with_its_version(name: str) -> None:
    table = (ROOT / "README.md").read_text().partition("\n## Clients\n")[2].partition("\n## ")[0]
    row = re.compile(rf"^\| {name}\b[^|]*\| \d+\.\d+[^|]*\| \S", re.MULTILINE | re.IGNORECASE)
    assert row.search(table)
