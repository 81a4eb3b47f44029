"""Programs of others as they are, visited by their usual clients: the same under their usual server and on replicas
that are killed.

`python -m benchmarks applications` does so with many more, which it installs.
"""

import sys
from pathlib import Path

import pytest

from benchmarks.applications.catalogue import CATALOGUE, Program
from benchmarks.applications.environment import absent
from benchmarks.applications.trial import Terms, tried
from benchmarks.applications.visiting import EndOfVisit, Report, User, wrong_effects

HERE = Path(sys.executable)
LIGHT = [
    each
    for each in CATALOGUE
    if each.target.partition(":")[0].endswith(("fastapi_site", "starlette_site", "flask_site"))
]
TERMS = Terms(seconds=8.0, interval=1.0, seed=1)


@pytest.mark.e2e
@pytest.mark.xdist_group("applications")
@pytest.mark.parametrize("program", LIGHT, ids=lambda program: program.name)
def test_a_program_is_served_as_by_its_usual_server(program: Program) -> None:
    assert absent(HERE, program.packages) == []
    trial = tried(program, HERE, TERMS)
    assert [run.faults() for run in trial.runs().values()] == [[], [], []]
    assert trial.plain.report.unknown == 0
    assert trial.peer.report.visits == 3
    assert trial.killed is not None
    assert trial.killed.kills


def failing(user: User, error: Exception, *, effect: str = "") -> None:
    with pytest.raises(EndOfVisit), user.step("add", effect=effect or None):
        raise error


def test_an_unknown_outcome_is_no_error_and_any_other_is() -> None:
    report = Report()
    user = User("", "visit", report)
    failing(user, ExceptionGroup("of a task group", [RuntimeError("... and its outcome is unknown.")]))
    failing(user, ConnectionError("reset"))
    assert report.unknown == 1
    assert report.errors == ["visit add: ConnectionError: reset"]


def test_effects_are_counted() -> None:
    user = User("", "visit", Report())
    with user.step("add", effect="sure"):
        pass
    failing(user, ConnectionError("reset"), effect="perhaps")
    assert wrong_effects([user], {"sure": 1}) == []
    assert wrong_effects([user], {"sure": 1, "perhaps": 1}) == []
    assert len(wrong_effects([user], {"perhaps": 2})) == 2  # one is missing, the other happened twice
