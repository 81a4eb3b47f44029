"""Replicas of a program that forks are killed while its children live on: nothing waits for the children."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.answering import notes, posted
from tests.support.served import Served, ends, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES", str(folder / "notes"))
        with running("tests.support.forking_program:app", folder, "--replicas", 2) as fleet:
            yield fleet


def outcome(fleet: Served, target: str) -> tuple[int, bytes]:
    with posted(fleet, target) as response:
        return response.status, response.read()


@pytest.mark.parametrize("target", ["/process", "/pool"])
def test_a_killed_replica_is_back_and_its_work_is_lost_while_its_child_lives(fleet: Served, target: str) -> None:
    (fleet.run_dir / "notes").unlink(missing_ok=True)
    with ThreadPoolExecutor(1) as user:
        answer = user.submit(outcome, fleet, target)
        while not (noted := notes()):
            assert not answer.done()
        [(replica, child)] = [(replica, int(child)) for replica, child in noted]
        os.kill(replica, signal.SIGKILL)
        while "is back" not in (said := fleet.program.errors.next()):
            assert "is in use" not in said
        status, text = answer.result()
    assert (status, b"outcome is unknown" in text) == (500, True)
    assert replica not in fleet.pids()
    os.kill(child, signal.SIGTERM)  # still there, and with a child's usual handlers
    assert ends(child)
