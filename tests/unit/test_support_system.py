"""A test that lacks a program is skipped by hand, and fails where nothing may be missing."""

from pathlib import Path

import pytest

from tests.support.system import REQUIRE_ALL, require

ABSENT = "no-program-has-this-name"


def test_a_program_that_is_there_is_found() -> None:
    assert Path(require("sh")).is_file()


def test_an_absent_program_skips_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"needs {ABSENT}"):
        require(ABSENT)


def test_an_absent_program_fails_the_test_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    with pytest.raises(pytest.fail.Exception, match=f"needs {ABSENT}"):
        require(ABSENT)


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_stay_together(request: pytest.FixtureRequest) -> None:
    grouped = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@together") == bool(grouped)
