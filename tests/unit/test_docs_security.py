"""The security page cannot promise what nothing shows: every threat cites tests or commands, and they are there."""

import re

import pytest

from benchmarks.__main__ import NAMES
from tests.support.processes import ROOT
from trickles.tools.attacks.catalogue import ATTACKS

PAGE = (ROOT / "docs" / "security.md").read_text()
BEFORE, _, AFTER = PAGE.partition("\n## Tests of each defence\n")
THREATS = list(dict.fromkeys(re.findall(r"^\| \*\*(.+?)\*\*", BEFORE, re.MULTILINE)))
TABLE = re.findall(r"^\| (.+?) \| (.+) \|$", AFTER.partition("\n## ")[0], re.MULTILINE)
ROWS = dict(TABLE[1:])


def test_every_threat_has_a_row_and_every_row_a_threat() -> None:
    assert len(THREATS) > 50
    assert set(THREATS) == set(ROWS)
    assert len(TABLE) == len(ROWS) + 1  # none twice


@pytest.mark.parametrize("threat", ROWS)
def test_what_a_row_names_is_there(threat: str) -> None:
    cited = re.findall(r"`([^`]+)`", ROWS[threat])
    assert cited
    for each in cited:
        assert is_there(each), each


def is_there(cited: str) -> bool:
    """Whether that test, attack or benchmark exists."""
    if cited.startswith("trickles attack "):
        return cited.removeprefix("trickles attack ") in ATTACKS
    if cited.startswith("python -m benchmarks "):
        return cited.removeprefix("python -m benchmarks ") in NAMES
    file, _, name = cited.partition("::")
    path = ROOT / "tests" / file
    return path.is_file() and bool(re.search(rf"^(?:async )?def {name}\(", path.read_text(), re.MULTILINE))


def test_what_is_not_there_is_found_out() -> None:
    here = "unit/test_docs_security.py"
    assert is_there(f"{here}::test_what_is_not_there_is_found_out")
    for wrong in (
        f"{here}::test_what_is_not",
        f"{here}::",
        "unit/test_nothing.py::test_it",
        "trickles attack teardrop",
        "python -m benchmarks nothing",
        "make check",
    ):
        assert not is_there(wrong)


def test_every_attack_is_cited() -> None:
    cited = set(re.findall(r"`trickles attack ([a-z-]+)`", AFTER))
    assert cited == set(ATTACKS)
