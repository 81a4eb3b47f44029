"""SIGTERM during a POST: it goes on to its end, for a while, and everything else moves."""

import http.client
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.answering import notes, posted
from tests.support.answering_program import BLOCK
from tests.support.processes import refuses
from tests.support.served import Served, ends, running
from trickles.drivers.dialer import parse_address

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PROGRAM = "tests.support.answering_program:app"
ALL = b"".join(b"%d\n" % number for number in range(60))
ENDLESS = "/lines?count=1000000"


@pytest.fixture(autouse=True)
def noting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Served]:
    with running(PROGRAM, tmp_path, "--replicas", 3) as fleet:
        yield fleet


def breaks_off(response: http.client.HTTPResponse) -> bool:
    """Read to the end; whether it is an error."""
    try:
        while response.read1(1000):
            pass
    except (http.client.IncompleteRead, ConnectionError):
        return True
    return False


def test_a_replica_ends_after_its_post_and_begins_no_other(fleet: Served) -> None:
    with posted(fleet, "/lines?count=60") as response:
        got = response.readline()
        worker = notes()[0][0]
        os.kill(worker, signal.SIGTERM)
        with posted(fleet, "/lines?count=3") as other:
            assert other.read() == b"0\n1\n2\n"
        assert {pid for pid, _ in notes()} - {worker}, "run by another one"
        got += response.read()
    assert got == ALL
    assert ends(worker)
    while "is back" not in fleet.program.errors.next():
        pass
    assert len([note for _, note in notes() if note == "line 59"]) == 1, "run once"


def test_a_post_without_a_first_byte_goes_on_too(fleet: Served) -> None:
    """Its client asks by AWAIT whether it is still at work."""
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(answer, fleet, "/late?count=60")
        while not notes():
            assert not whole.done()
        os.kill(notes()[0][0], signal.SIGTERM)
        assert whole.result() == 60 * BLOCK
    assert len(notes()) == 1, "run once"


def answer(fleet: Served, target: str) -> bytes:
    with posted(fleet, target) as response:
        return response.read()


def test_a_fleet_ends_after_its_post(fleet: Served) -> None:
    with posted(fleet, "/lines?count=60") as response:
        got = response.readline()
        os.kill(fleet.program.pid, signal.SIGTERM)
        assert refuses(parse_address(fleet.url.removeprefix("http://")))
        got += response.read()
    assert got == ALL
    assert fleet.program.wait() == 0
    assert "waiting for unsafe requests" in fleet.program.errors.rest()


def test_a_second_signal_ends_a_fleet_at_once(fleet: Served) -> None:
    with posted(fleet, ENDLESS) as response:
        response.readline()
        os.kill(fleet.program.pid, signal.SIGTERM)
        while "waiting for unsafe requests" not in fleet.program.errors.next():
            pass
        os.kill(fleet.program.pid, signal.SIGINT)
        assert breaks_off(response)
    assert fleet.program.wait() == 0
    assert "line 199" not in {note for _, note in notes()}, "it did not wait ten seconds"


@pytest.mark.parametrize("seconds", ["0", "0.3"])
def test_a_drain_is_bounded(tmp_path: Path, seconds: str) -> None:
    with running(PROGRAM, tmp_path, "--replicas", 2, "--drain", seconds) as fleet, posted(fleet, ENDLESS) as response:
        response.readline()
        worker = notes()[0][0]
        os.kill(worker, signal.SIGTERM)
        assert breaks_off(response)
        assert ends(worker)
