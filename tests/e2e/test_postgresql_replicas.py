"""Replicas as on several machines: a run directory each, and a ledger in PostgreSQL in common, or not."""

import json
import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.ledger_houses import WITH_SERVER, shared_cluster
from tests.support.once_program import EFFECTS
from tests.support.postgres import Cluster
from tests.support.processes import PATIENCE_SECONDS, GatewayProgram, Program
from trickles.drivers.dialer import parse_address
from trickles.drivers.keystore import init_keystore

pytestmark = WITH_SERVER


class Machines:
    """A replica for each ledger's URL, and a gateway that goes from one to the next with each request."""

    def __init__(self, folder: Path, undo: ExitStack, *urls: str, give_up: int = 5) -> None:
        self._folder, self._urls = folder, urls
        init_keystore(folder / "keys")
        self.places = [("127.0.0.1", 0)] * len(urls)
        self.replicas = [self._replica(index) for index in range(len(urls))]
        undo.callback(self._close)
        self.places = [self.ready(index) for index in range(len(urls))]
        words = ("--policy", "spray", "--server-key", folder / "keys" / "server.pub", "--give-up", give_up)
        self.gateway = undo.enter_context(GatewayProgram(self.places, *words))

    def ready(self, index: int) -> tuple[str, int]:
        """Wait until a replica is; where it is."""
        return parse_address(self.replicas[index].output.next().removeprefix("replica on "))

    def restart(self, index: int) -> None:
        """SIGKILL, and start another one at its address."""
        self.replicas[index].close()
        self.replicas[index] = self._replica(index)
        self.ready(index)

    def _close(self) -> None:
        for replica in self.replicas:
            replica.close()

    def _replica(self, index: int) -> Program:
        files = ("--status-file", self._folder / f"{index}.json", "--ledger", self._urls[index])
        where = ("--udp", "{}:{}".format(*self.places[index]), "--keyring", self._folder / "keys")
        return Program("trickleweb", "replica", "--app", "tests.support.once_program:app", *where, *files)

    def ask(self, path: str, method: str = "POST") -> tuple[int, str]:
        """The status, 0 for a reset, and the content of a response."""
        host, port = self.gateway.address
        request = Request(f"http://{host}:{port}{path}", method=method)
        try:
            with urlopen(request, timeout=2 * PATIENCE_SECONDS) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except ConnectionError:
            return 0, ""

    def done(self) -> list[list[str]]:
        """What was done, and by which process."""
        effects = self._folder / "effects"
        return [line.split() for line in effects.read_text().splitlines()] if effects.exists() else []

    def stores(self) -> list[str]:
        """The names of the replicas' ledgers."""
        return [json.loads((self._folder / f"{at}.json").read_text())["ledger"]["store"] for at in (0, 1)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects"))
    return tmp_path


def until_begun(machines: Machines) -> int:
    """The pid of the replica that is at work, once one is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not machines.done():
        assert time.monotonic() < deadline, "nobody began"
    [[_, pid]] = machines.done()
    return int(pid)


def test_what_a_killed_replica_was_at_is_unknown_to_the_other(folder: Path) -> None:
    url = shared_cluster().url(schema="together")
    with ExitStack() as undo:
        machines = Machines(folder, undo, url, url)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(machines.ask, "/do/slow")
            os.kill(until_begun(machines), signal.SIGKILL)
            status, why = waiting.result(2 * PATIENCE_SECONDS)
        assert (status, "outcome is unknown" in why) == (500, True)
        names = [f"job-{number}" for number in range(10)]
        assert [machines.ask(f"/do/{name}") for name in names] == [(200, name) for name in names]
        assert [name for name, _ in machines.done()] == ["slow", *names]


def test_with_a_database_each_requests_are_done_once_where_they_began(folder: Path) -> None:
    cluster = shared_cluster()
    with ExitStack() as undo:
        machines = Machines(folder, undo, cluster.url(schema="here"), cluster.url(schema="there"))
        names = [f"job-{number}" for number in range(20)]
        assert [machines.ask(f"/do/{name}") for name in names] == [(200, name) for name in names]
        assert [name for name, _ in machines.done()] == names
        assert {int(pid) for _, pid in machines.done()} == {replica.pid for replica in machines.replicas}
        assert len(set(machines.stores())) == 2


def test_while_the_database_is_away_safe_requests_go_on(folder: Path) -> None:
    with ExitStack() as undo:
        cluster = undo.enter_context(Cluster("fsync=off"))
        cluster.kill()
        machines = Machines(folder, undo, *[cluster.url()] * 2)
        assert machines.ask("/nothing", "GET")[0] == 404
        status, why = machines.ask("/do/first")
        assert (status, "nothing was done here" in why) == (503, True)
        assert "ledger: LedgerUnavailable: postgresql://tester@/postgres" in machines.replicas[0].errors.next()
        cluster.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while machines.ask("/do/second") != (200, "second"):
            assert time.monotonic() < deadline
        assert {name for name, _ in machines.done()} == {"second"}
        assert len(machines.done()) == 1


@pytest.mark.slow
def test_posts_run_once_while_replicas_and_the_database_are_killed(folder: Path) -> None:
    order = random.Random(7)
    with ExitStack() as undo:
        cluster = undo.enter_context(Cluster())
        machines = Machines(folder, undo, *[cluster.url()] * 2, give_up=30)
        pool = undo.enter_context(ThreadPoolExecutor(6))
        names, outcomes = [f"job-{number}" for number in range(90)], dict[str, tuple[int, str]]()

        def post(name: str) -> None:
            outcomes[name] = machines.ask(f"/do/{name}")

        waiting = [pool.submit(post, name) for name in names]
        while not all(each.done() for each in waiting):
            if (victim := order.randrange(3)) == 2:
                cluster.kill()
                cluster.start()
            else:
                machines.restart(victim)
        for each in waiting:
            each.result()
    done = Counter(name for name, _ in machines.done())
    right = {name for name, outcome in outcomes.items() if outcome == (200, name)}
    assert set(done.values()) == {1}
    assert right <= done.keys()
    assert {status for status, _ in outcomes.values()} <= {200, 500, 503}, outcomes
    assert {why for status, why in outcomes.values() if status == 500 and "outcome is unknown" not in why} == set()
    assert len(right) > len(names) // 2
