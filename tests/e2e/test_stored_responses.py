"""Responses to POST by a fleet of processes, of which some are killed: whole, or to the last stored byte."""

import http.client
import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.answering import notes, posted
from tests.support.answering_program import BLOCK
from tests.support.served import Served, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
REPLICAS = 3


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES", str(folder / "notes"))
        with running("tests.support.answering_program:app", folder, "--replicas", REPLICAS) as fleet:
            yield fleet


@pytest.fixture(autouse=True)
def nothing_noted(fleet: Served) -> None:
    (fleet.run_dir / "notes").unlink(missing_ok=True)


def kill(fleet: Served, *, working: bool) -> None:
    """Kill the replica that runs the program, or all others; they are back when this returns."""
    worker = notes()[-1][0]
    names = [f"replica-{index}" for index in range(REPLICAS)]
    victims = [name for name in names if (fleet.pid(name) == worker) == working]
    for name in victims:
        os.kill(fleet.pid(name), signal.SIGKILL)
    for _ in victims:
        while "is back" not in fleet.program.errors.next():
            pass


def test_a_stream_goes_on_while_all_other_replicas_are_killed(fleet: Served) -> None:
    with posted(fleet, "/lines?count=100") as response:
        got = response.readline() + response.readline()
        kill(fleet, working=False)
        got += response.read()
    assert got == b"".join(b"%d\n" % number for number in range(100))
    assert len({pid for pid, _ in notes()}) == 1, "run once"


def test_all_that_was_stored_arrives_when_the_replica_at_work_is_killed_and_then_an_error(fleet: Served) -> None:
    got = b""
    with posted(fleet, "/lines?count=100000") as response:
        while got.count(b"\n") < 5:
            got += response.read1(1000)
        kill(fleet, working=True)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):  # noqa: PT012 - any line may be the last
            while piece := response.read1(1000):
                got += piece
    lines = got.splitlines(keepends=True)
    made = len([step for _, step in notes() if step.startswith("line")])
    assert lines == [b"%d\n" % number for number in range(len(lines))]
    assert made - 1 <= len(lines) <= made + 1
    assert len({pid for pid, _ in notes()}) == 1, "run once"


def test_a_long_response_arrives_whole_when_its_replica_is_killed_after_the_end_of_the_program(fleet: Served) -> None:
    with posted(fleet, "/blocks?count=300") as response:
        got = response.read(100_000)
        while not notes():
            got += response.read(1000)
        kill(fleet, working=True)
        got += response.read()
    assert got == 300 * BLOCK
    assert [step for _, step in notes()] == ["end"]
