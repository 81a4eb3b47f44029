"""The ledger between real processes, of which some are killed at any moment: no job is ever done twice."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.support.ledger_program import NOW, key
from trickleweb.ledger import Done, Lost, New, Pending
from trickleweb.stores.ledger_file import LedgerFile

pytestmark = pytest.mark.e2e


@contextmanager
def worker(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """A running worker, ready; killed at the end if it is still there."""
    command = [sys.executable, "-m", "tests.support.ledger_program", str(folder / "ledger"), str(folder / "effects")]
    with subprocess.Popen([*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert answer(process) == "ready"
            yield process
        finally:
            process.kill()


def ask(process: "subprocess.Popen[str]", *jobs: int) -> None:
    """Tell a worker to do jobs."""
    assert process.stdin is not None
    process.stdin.write("".join(f"{job}\n" for job in jobs))
    process.stdin.flush()


def answer(process: "subprocess.Popen[str]") -> str:
    """The next line a worker says; "" at its end."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_a_claim_whose_process_is_killed_is_lost_at_once_and_for_good(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger")
    with worker(tmp_path, "hold") as holder:
        ask(holder, 1)
        assert answer(holder) == "New"
        assert ledger.claim(key(1), now=NOW) == Pending()
        holder.kill()
        holder.wait()
        assert ledger.claim(key(1), now=NOW) == Lost()
    assert ledger.claim(key(1), now=NOW) == Lost()
    assert ledger.complete(key(1), b"503 outcome unknown", now=NOW) == b"503 outcome unknown"
    with worker(tmp_path) as other:
        ask(other, 1)
        assert answer(other) == "503 outcome unknown"
    assert (tmp_path / "effects").read_bytes() == b""
    ledger.close()


def test_what_was_completed_outlives_its_process(tmp_path: Path) -> None:
    with worker(tmp_path) as done:
        ask(done, 7)
        assert answer(done) == "New"
        done.kill()
    with worker(tmp_path) as other:
        ask(other, 7)
        assert answer(other) == "done 7"
    assert (tmp_path / "effects").read_text() == "7\n"


def test_a_clean_end_and_a_fork_are_told_apart_from_life(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger")
    with worker(tmp_path, "hold") as holder:
        ask(holder, 1)
        assert answer(holder) == "New"
        holder.communicate()
    assert holder.returncode == 0
    assert ledger.claim(key(1), now=NOW) == Lost()
    assert len(list((tmp_path / "ledger-owners").iterdir())) == 1
    ledger.close()


def test_many_processes_begin_at_once_and_share_the_jobs(tmp_path: Path) -> None:
    jobs = range(60)
    told: list[str] = []

    def work() -> None:
        with worker(tmp_path) as process:
            ask(process, *jobs)
            told.extend(answer(process) for _ in jobs)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 4 * len(jobs)
    assert Counter(told)["New"] == len(jobs)
    assert "Lost" not in told
    assert sorted(map(int, (tmp_path / "effects").read_text().split())) == list(jobs)


def test_what_a_killed_process_was_at_is_taken_over_by_one(tmp_path: Path) -> None:
    jobs = range(40)
    with worker(tmp_path, "hold") as holder:
        ask(holder, *jobs)
        assert [answer(holder) for _ in jobs] == ["New"] * len(jobs)
    told: list[str] = []

    def work() -> None:
        with worker(tmp_path, "adopt") as process:
            ask(process, *jobs)
            told.extend(answer(process) for _ in jobs)

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(told)["New"] == len(jobs)
    assert "Lost" not in told
    assert sorted(map(int, (tmp_path / "effects").read_text().split())) == list(jobs)


@pytest.mark.slow
def test_jobs_are_done_at_most_once_whenever_processes_are_killed(tmp_path: Path) -> None:
    jobs, kills = range(2000), 12
    for number in range(kills):
        with worker(tmp_path) as victim:
            ask(victim, *jobs[: (number + 1) * 100])
            for _ in range(number * 100 + 7 * number + 1):  # so that it dies at another moment of another job each time
                answer(victim)
            victim.kill()
    effects = Counter(map(int, (tmp_path / "effects").read_text().split()))
    assert max(effects.values()) == 1
    ledger = LedgerFile(tmp_path / "ledger")
    standing = [ledger.claim(key(job), now=NOW) for job in jobs]
    lost = [job for job, claim in enumerate(standing) if isinstance(claim, Lost)]
    done = [job for job, claim in enumerate(standing) if isinstance(claim, Done)]
    new = [job for job, claim in enumerate(standing) if isinstance(claim, New)]
    assert len(lost) <= kills
    assert set(done) <= set(effects) <= {*done, *lost}
    assert not set(new) & set(effects)
    assert len(lost) + len(done) + len(new) == len(jobs)
    ledger.close()
