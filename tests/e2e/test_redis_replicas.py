"""Replicas as on several machines, with folders of their own, and one Redis server in common."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from tests.support.answering import notes, posted
from tests.support.answering_program import BLOCK
from tests.support.once_program import EFFECTS
from tests.support.processes import PATIENCE_SECONDS
from tests.support.redis import RedisServer
from tests.support.system import require
from tests.support.two_machines import TwoMachines

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("redis")]
UPLOADS = "tests.support.hashing_program:app"
BODY = Random(5).randbytes(6_000_000)
RIGHT = f"{sha256(BODY).hexdigest()} {len(BODY)}\n [200]"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as made:
        yield made


def uploads(folder: Path, undo: ExitStack, server: RedisServer, policy: str = "spray") -> TwoMachines:
    """Two replicas with a ledger each, and a spool in common."""
    require("curl")
    words = ("--spool", server.url(), "--ledger", str(folder / "ledger"), "--responses", str(folder / "responses{}"))
    return TwoMachines(folder, undo, UPLOADS, words, policy=policy)


def test_an_upload_by_all_replicas_is_read_by_any(tmp_path: Path, server: RedisServer) -> None:
    with ExitStack() as undo:
        machines = uploads(tmp_path, undo, server)
        for _ in range(3):
            with machines.curl("/upload", body=BODY) as curl:
                assert curl.communicate(BODY)[0].decode() == RIGHT


def test_an_upload_whose_replica_is_killed_for_good_goes_on_at_the_other(tmp_path: Path, server: RedisServer) -> None:
    with ExitStack() as undo:
        machines = uploads(tmp_path, undo, server, "home")
        for index in range(2):
            with machines.curl("/upload", body=BODY) as curl:
                assert curl.stdin is not None
                curl.stdin.write(BODY[:3_000_000])
                curl.stdin.flush()
                until_used(server, 2_000_000)
                machines.restart(index)
                assert curl.communicate(BODY[3_000_000:])[0].decode() == RIGHT


def test_an_upload_survives_a_server_that_is_killed_and_one_that_forgets(tmp_path: Path, server: RedisServer) -> None:
    with ExitStack() as undo:
        machines = uploads(tmp_path, undo, server)
        for trouble in (server.kill, lambda: server.run("FLUSHALL")):
            with machines.curl("/upload", body=BODY) as curl:
                assert curl.stdin is not None
                curl.stdin.write(BODY[:3_000_000])
                curl.stdin.flush()
                until_used(server, 2_000_000)
                trouble()
                if trouble == server.kill:
                    server.start()
                assert curl.communicate(BODY[3_000_000:])[0].decode() == RIGHT
            server.run("FLUSHALL")


def test_posts_run_once_and_topics_are_read_at_any_replica(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("curl")
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects"))
    with ExitStack() as undo:
        words = ("--shared", server.url())
        machines = TwoMachines(tmp_path, undo, "tests.support.once_program:app", words)
        events = machines.curl("/events", "-N")
        names = [f"job-{number}" for number in range(20)]
        for name in names:
            with machines.curl(f"/do/{name}", "-X", "POST") as curl:
                assert curl.communicate()[0].decode() == f"{name} [200]"
        with machines.curl("/do/last", "-X", "POST") as curl:
            assert curl.communicate()[0] == b"last [200]"
        seen = events.communicate()[0].decode()
        done = [line.split() for line in (tmp_path / "effects").read_text().splitlines()]
        assert [name for name, _ in done] == [*names, "last"]
        assert {int(pid) for _, pid in done} == {replica.pid for replica in machines.replicas}
        data = [line.removeprefix("data: ") for line in seen.splitlines() if line.startswith("data")]
        assert data == [*names, "last"]


def test_what_a_killed_replica_was_at_is_unknown_to_the_other_when_its_lease_has_ended(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("curl")
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects"))
    with ExitStack() as undo:
        words = ("--shared", server.url())
        machines = TwoMachines(tmp_path, undo, "tests.support.once_program:app", words, give_up=30)
        waiting = machines.curl("/do/slow", "-X", "POST")
        deadline = time.monotonic() + PATIENCE_SECONDS
        effects = tmp_path / "effects"
        while not (effects.exists() and effects.read_text().endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        pid = int(effects.read_text().split()[1])
        machines.kill([replica.pid for replica in machines.replicas].index(pid))
        assert "outcome is unknown" in waiting.communicate()[0].decode()
        with machines.curl("/do/other", "-X", "POST") as curl:
            assert curl.communicate()[0] == b"other [200]"
        assert len((tmp_path / "effects").read_text().splitlines()) == 2


def test_a_response_goes_on_when_the_replica_that_made_it_is_killed(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    with ExitStack() as undo:
        machines = TwoMachines(tmp_path, undo, "tests.support.answering_program:app", ("--shared", server.url()))
        with posted(machines, "/blocks?count=300") as response:
            got = response.read(100_000)
            while not notes():
                got += response.read(1000)
            [(pid, step)] = notes()
            machines.kill([replica.pid for replica in machines.replicas].index(pid))
            got += response.read()
    assert got == 300 * BLOCK
    assert step == "end"


def until_used(server: RedisServer, size: int) -> None:
    """Wait until so much lies in its spool."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while int(server.run("HGET", "trickles:used", "") or 0) < size:
        assert time.monotonic() < deadline, "nothing comes"
        time.sleep(0.01)
