"""All replicas are down while programs ask: each fails cleanly, the log says why, and goes on when they are back."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import requests

from tests.support.deaths import plain_environ
from tests.support.offerings import bytes_of
from tests.support.processes import PATIENCE_SECONDS, GatewayProgram, Program, free_port
from tests.support.system import require
from trickles.drivers.addresses import shown
from trickles.httpx import Fleet, TricklesTransport

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("outages")]

CONTENT = bytes_of("outages", 30_000_000)
GIVE_UP_SECONDS = 1
IN_TIME_SECONDS = PATIENCE_SECONDS / 2  # far above that, far below a gateway's default


@dataclass(slots=True)
class House:
    """One replica, its gateway, and the program that is the replica now."""

    folder: Path
    udp: str
    gateway: GatewayProgram
    replica: Program

    @property
    def url(self) -> str:
        """Of the file."""
        return f"http://{shown(self.gateway.address)}/file"

    def die(self) -> None:
        """The only replica is killed."""
        self.replica.kill()

    def return_(self) -> None:
        """It is started again, at its old place."""
        self.replica.close()
        self.replica = started(self.folder, self.udp)


def started(folder: Path, udp: str) -> Program:
    """A replica that is ready."""
    where = ("--udp", udp, "--keyring", folder / "keys", "--digests", folder / "digests")
    replica = Program("trickleweb", "replica", folder / "site", *where, "--warm")
    assert replica.output.next() == f"replica on {udp}"
    return replica


@pytest.fixture(params=[GIVE_UP_SECONDS])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "file").write_bytes(CONTENT)
    with Program("trickles", "keys", "init", tmp_path / "keys") as keys:
        assert keys.wait() == 0
    udp = shown(("127.0.0.1", free_port()))
    options = ("--server-key", tmp_path / "keys" / "server.pub", "--give-up", request.param)
    with (
        started(tmp_path, udp) as replica,
        GatewayProgram([("127.0.0.1", int(udp.rpartition(":")[2]))], *options) as gateway,
    ):
        made = House(tmp_path, udp, gateway, replica)
        yield made
        made.replica.close()
        assert gateway.terminate() == 0


Answer = bytes | None  # None: it failed, and said so
Client = Callable[[Path, str], Answer]


def by(*words: str) -> Client:
    """A program that writes to the file OUT."""

    def ask(folder: Path, url: str) -> Answer:
        (folder / "out").unlink(missing_ok=True)
        named = [require(words[0]), *(word.replace("OUT", str(folder / "out")) for word in words[1:]), url]
        done = subprocess.run(named, env=plain_environ(), capture_output=True, timeout=IN_TIME_SECONDS, check=False)
        return (folder / "out").read_bytes() if done.returncode == 0 else None

    return ask


def by_requests(_folder: Path, url: str) -> Answer:
    """The same with requests."""
    try:
        return requests.get(url, timeout=IN_TIME_SECONDS, proxies={"http": ""}).content
    except requests.exceptions.ConnectionError:
        return None


def by_httpx(_folder: Path, url: str) -> Answer:
    """The same with httpx."""
    try:
        return httpx.get(url, timeout=IN_TIME_SECONDS, trust_env=False).content
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        return None


CLIENTS: dict[str, Client] = {
    "curl": by("curl", "--silent", "--output", "OUT"),
    "wget": by("wget", "--quiet", "--tries=1", "--output-document=OUT"),
    "aria2c": by("aria2c", "--no-conf", "--quiet", "--max-tries=1", "--split=16", "--dir=/", "--out=OUT"),
    "requests": by_requests,
    "httpx": by_httpx,
}


def test_no_program_hangs_or_takes_silence_for_an_answer(house: House, tmp_path: Path) -> None:
    house.die()
    for name, ask in CLIENTS.items():
        assert ask(tmp_path, house.url) is None, name
    assert house.gateway.errors.next().endswith(": no answer to the handshake")
    house.return_()
    for name, ask in CLIENTS.items():
        assert ask(tmp_path, house.url) == CONTENT, name


def begun(house: House) -> subprocess.Popen[bytes]:
    """curl, in the middle of a download to the file `out`."""
    words = [require("curl"), "--silent", "--limit-rate", "15M", "--output", "-", house.url]
    return subprocess.Popen(words, env=plain_environ(), stdout=subprocess.PIPE)


def test_a_download_that_cannot_go_on_is_reset(house: House) -> None:
    with begun(house) as curl:
        assert curl.stdout is not None
        received = curl.stdout.read(1_000_000)
        house.die()
        received += curl.stdout.read()
        assert curl.wait(IN_TIME_SECONDS) == 56  # failure with receiving
    assert len(received) < len(CONTENT)
    assert CONTENT.startswith(received)
    assert house.gateway.errors.next().endswith(": no replica answers")


@pytest.mark.parametrize("house", [30], indirect=True)
def test_a_download_waits_for_replicas_that_come_back(house: House) -> None:
    with begun(house) as curl:
        assert curl.stdout is not None
        received = curl.stdout.read(1_000_000)
        house.die()
        house.return_()
        received += curl.stdout.read()
        assert curl.wait(IN_TIME_SECONDS) == 0
    assert received == CONTENT


def test_a_fleet_that_stands_still_is_given_up_too(house: House) -> None:
    os.kill(house.replica.pid, signal.SIGSTOP)
    assert CLIENTS["curl"](house.folder, house.url) is None
    os.kill(house.replica.pid, signal.SIGCONT)
    assert CLIENTS["curl"](house.folder, house.url) == CONTENT


def test_httpx_without_a_gateway_fails_and_recovers(house: House, tmp_path: Path) -> None:
    fleet = Fleet([house.udp], server_key=tmp_path / "keys" / "server.pub", give_up_seconds=GIVE_UP_SECONDS)
    with httpx.Client(transport=TricklesTransport(fleet), timeout=IN_TIME_SECONDS) as client:
        with client.stream("GET", "http://files.example/file") as response:
            house.die()
            with pytest.raises(httpx.ReadError, match="no replica answers"):
                response.read()
        with pytest.raises(httpx.ConnectError, match="no answer to the handshake"):
            client.get("http://files.example/file")
        house.return_()
        assert client.get("http://files.example/file").content == CONTENT
