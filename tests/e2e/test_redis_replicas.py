"""Replicas as on several machines, with folders of their own, and one Redis server in common."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from tests.support.processes import PATIENCE_SECONDS
from tests.support.redis import RedisServer
from tests.support.system import require
from tests.support.two_machines import TwoMachines

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("redis")]
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


def until_used(server: RedisServer, size: int) -> None:
    """Wait until so much lies in its spool."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while int(server.run("HGET", "trickles:used", "") or 0) < size:
        assert time.monotonic() < deadline, "nothing comes"
        time.sleep(0.01)
