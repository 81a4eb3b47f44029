"""The README's table of clients names all that are tested, and a version of each."""

import re

import pytest

from tests.support.processes import ROOT
from tests.support.versions import PACKAGES, PROGRAMS


@pytest.mark.parametrize("name", [*PROGRAMS, *PACKAGES])
def test_a_client_is_in_the_table_with_its_version(name: str) -> None:
    table = (ROOT / "README.md").read_text().partition("\n## Clients\n")[2].partition("\n## ")[0]
    row = re.compile(rf"^\| {name}\b[^|]*\| \d+\.\d+[^|]*\| \S", re.MULTILINE | re.IGNORECASE)
    assert row.search(table)
