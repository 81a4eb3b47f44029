"""Programs that are given a proxy, and programs that know none: no replica's death is an event for them either."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support import offerings
from tests.support.deaths import Matrix, output
from tests.support.processes import PATIENCE_SECONDS, ROOT, Program
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("matrix")]

URL = "http://files.example/large.bin"
CURL = ("--silent", "--show-error", "--fail", "--limit-rate", "30M")


@pytest.fixture
def fleet(matrix: Matrix) -> tuple[object, ...]:
    """Options of a gateway that lead files.example to the fleet."""
    served = matrix.deaths.fleet
    return "--map", f"files.example={','.join(served.udp)}", "--server-key", served.run_dir / "server.pub"


@pytest.fixture
def proxy(fleet: tuple[object, ...]) -> Iterator[str]:
    """Where a proxy listens."""
    with Program("trickles", "gateway", "--mode", "proxy", "--listen", "127.0.0.1:0", *fleet) as gateway:
        yield gateway.output.next().split()[2].rpartition("@")[2]
        assert gateway.terminate() == 0
        assert gateway.errors.rest() == ""


@pytest.mark.parametrize(
    "way", [("--proxy", "http://"), ("--proxytunnel", "--proxy", "http://"), ("--socks5-hostname", "")]
)
def test_curl_through_a_proxy(matrix: Matrix, curl: str, proxy: str, way: tuple[str, ...]) -> None:
    *options, scheme = way
    matrix.outlived_by(lambda: same(output([curl, *CURL, *options, scheme + proxy, URL]), matrix.large))


def test_wget_through_a_proxy(matrix: Matrix, proxy: str, tmp_path: Path) -> None:
    words = [require("wget"), "--no-verbose", "--tries=1", "--limit-rate=30M", "--output-document=-", URL]
    environ = {"http_proxy": f"http://{proxy}", "HOME": str(tmp_path)}
    matrix.outlived_by(lambda: same(output(words, environ=environ), matrix.large))


def test_requests_through_a_proxy(matrix: Matrix, proxy: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": f"http://{proxy}"}
        matrix.outlived_by(lambda: same(session.get(URL, timeout=PATIENCE_SECONDS).content, matrix.large))


@pytest.fixture
def run(fleet: tuple[object, ...]) -> Callable[..., bytes]:
    """What a command prints that `trickles run` runs."""

    def ran(*words: object, folder: Path | None = None) -> bytes:
        trickles = (sys.executable, "-m", "trickles", "run", *fleet)
        return output([*trickles, *words], folder, {"PYTHONPATH": str(ROOT)} | offerings.GIT_ENVIRON)

    return ran


def test_git_run_with_a_gateway_of_its_own(
    matrix: Matrix, site: Path, run: Callable[..., bytes], tmp_path: Path
) -> None:
    git = require("git")
    head = offerings.repository(site / "small.git", b"small\n")
    numbers = iter(range(1000))

    def work() -> None:
        clone = tmp_path / str(next(numbers))
        run("--", git, "clone", "--quiet", "http://files.example/small.git", clone)
        same(output([git, "rev-parse", "HEAD"], clone, offerings.GIT_ENVIRON).strip(), head.encode())

    matrix.outlived_by(work)


KNOWS_NO_PROXY = """
import http.client, sys
connection = http.client.HTTPConnection("files.example")
connection.request("GET", "/large.bin")
sys.stdout.buffer.write(connection.getresponse().read())
"""


def test_a_program_that_knows_no_proxy(matrix: Matrix, run: Callable[..., bytes]) -> None:
    require("proxychains4")
    python = require("python3")
    matrix.outlived_by(lambda: same(run("--hook", "--", python, "-c", KNOWS_NO_PROXY), matrix.large))


def same(got: bytes, expected: bytes) -> None:
    """Fails when they differ, without printing them."""
    assert len(got) == len(expected)
    assert got == expected, "other bytes"
