"""Two replicas of one fleet with a ledger each, by mistake: nothing is done twice, and people are told."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.once_program import EFFECTS
from tests.support.processes import PATIENCE_SECONDS, GatewayProgram, Program
from trickles.drivers.dialer import parse_address
from trickles.drivers.keystore import init_keystore

pytestmark = pytest.mark.e2e


class Apart:
    """The replicas and a gateway to both that goes from one to the other with each request."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self._folder = folder
        init_keystore(folder / "keys")
        self.replicas = [undo.enter_context(self._replica(index)) for index in range(2)]
        places = [parse_address(replica.output.next().removeprefix("replica on ")) for replica in self.replicas]
        words = ("--policy", "spray", "--server-key", folder / "keys" / "server.pub", "--give-up", 5)
        self.gateway = undo.enter_context(GatewayProgram(places, *words))

    def _replica(self, index: int) -> Program:
        files = ("--status-file", self._folder / f"{index}.json", "--ledger", self._folder / f"ledger {index}")
        where = ("--udp", "127.0.0.1:0", "--keyring", self._folder / "keys")
        return Program("trickleweb", "replica", "--app", "tests.support.once_program:app", *where, *files)

    def post(self, name: str) -> bytes:
        """What comes back."""
        host, port = self.gateway.address
        with urlopen(
            Request(f"http://{host}:{port}/do/{name}", method="POST"), timeout=2 * PATIENCE_SECONDS
        ) as response:
            data: bytes = response.read()
            return data

    def done(self) -> list[list[str]]:
        """What was done, and by whom."""
        effects = self._folder / "effects"
        return [line.split() for line in effects.read_text().splitlines()] if effects.exists() else []

    def figures(self, index: int) -> dict[str, object]:
        """What a replica tells of its ledger."""
        found: dict[str, object] = json.loads((self._folder / f"{index}.json").read_text())["ledger"]
        return found


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apart]:
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects"))
    with ExitStack() as undo:
        yield Apart(tmp_path, undo)


def test_requests_are_done_once_where_their_connection_began(apart: Apart) -> None:
    names = [f"job-{number}" for number in range(20)]
    assert [apart.post(name).decode() for name in names] == names
    assert [name for name, _ in apart.done()] == names
    assert {pid for _, pid in apart.done()} == {str(replica.pid) for replica in apart.replicas}
    assert apart.figures(0)["store"] != apart.figures(1)["store"]


def outcome(apart: Apart, name: str) -> str:
    """What the program at the gateway sees of a request."""
    try:
        return apart.post(name).decode()
    except HTTPError as error:
        return str(error.code)
    except ConnectionError:
        return "reset"


def begun(apart: Apart) -> str:
    """The pid of the replica that is at work, once one is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not apart.done():
        assert time.monotonic() < deadline, "nobody began"
    [[_, pid]] = apart.done()
    return pid


def test_what_a_replica_was_killed_at_is_not_done_by_the_other(apart: Apart) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(outcome, apart, "slow")
        pid = begun(apart)
        os.kill(int(pid), signal.SIGKILL)
        # Nobody that answers knows whether it was done; the client waits half a minute for one that does.
        assert waiting.result(2 * PATIENCE_SECONDS) == "reset"
    assert len(apart.done()) == 1
    [index] = [index for index, replica in enumerate(apart.replicas) if str(replica.pid) != pid]
    survivor = apart.replicas[index]
    assert "an unsafe request was not run: its connection began at a replica with another" in survivor.errors.next()
    assert apart.figures(index)["refused_other"] != 0
