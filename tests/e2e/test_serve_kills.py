"""curl never notices a dead replica, and never gets bytes of two versions of a file."""

import hashlib
import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.killing import Killer, drained
from tests.support.processes import PATIENCE_SECONDS
from tests.support.served import Served, ends, served
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

DOWNLOADS = 20
LARGE_BYTES = 100_000_000


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["home", "spray"])
def test_curl_downloads_while_replicas_are_killed(tmp_path: Path, policy: str) -> None:
    curl, content = require("curl"), os.urandom(LARGE_BYTES)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "large.bin").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    with (
        served(tmp_path / "site", tmp_path / "run", "--policy", policy) as fleet,
        drained(fleet),
        Killer(fleet) as killer,
    ):
        for number in range(DOWNLOADS):
            words = [curl, "--silent", "--show-error", "--fail", "--limit-rate", "150M", f"{fleet.url}/large.bin"]
            done = subprocess.run(words, capture_output=True, timeout=2 * PATIENCE_SECONDS, check=False)
            assert (done.returncode, done.stderr) == (0, b""), number
            assert hashlib.sha256(done.stdout).hexdigest() == expected, number
    assert killer.kills >= DOWNLOADS // 2


def begun(fleet: Served, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """A download whose head has come, and which reads no further for now."""
    connection = http.client.HTTPConnection(urlsplit(fleet.url).netloc, timeout=PATIENCE_SECONDS)
    connection.request("GET", path)
    return connection, connection.getresponse()


def hashed(fleet: Served, path: str) -> None:
    """Ask for a file until its ETag is strong: from then on it is known by its content."""
    deadline, etag = time.monotonic() + PATIENCE_SECONDS, "W/"
    while etag.startswith("W/"):
        assert time.monotonic() < deadline, "the file is not hashed"
        connection, response = begun(fleet, path)
        etag = response.headers["ETag"]
        response.read()
        connection.close()


def all_of(response: http.client.HTTPResponse) -> bytes:
    """What comes of a body until it ends or breaks off."""
    received = bytearray()
    try:
        while data := response.read(1 << 16):
            received += data
    except (http.client.IncompleteRead, ConnectionError):
        pass
    return bytes(received)


def replaced(path: Path, content: bytes) -> None:
    """Another file at that path, as careful writers do it."""
    path.with_name("new").write_bytes(content)
    path.with_name("new").replace(path)


def overwritten(path: Path, content: bytes) -> None:
    """The same file with other content."""
    with path.open("r+b") as file:
        file.write(content)


@pytest.mark.parametrize("change", [replaced, overwritten])
def test_a_file_that_changes_ends_its_transfers_visibly(tmp_path: Path, change: Callable[[Path, bytes], None]) -> None:
    old, new = (os.urandom(40_000_000) for _ in range(2))
    (tmp_path / "site").mkdir()
    path = tmp_path / "site" / "file"
    path.write_bytes(old)
    with served(tmp_path / "site", tmp_path / "run") as fleet:
        connection, response = begun(fleet, "/file")
        change(path, new)
        pids = [fleet.pid(f"replica-{index}") for index in range(3)]  # who may still have the old one open
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert all(map(ends, pids))
        received = all_of(response)
        connection.close()
        assert len(received) < len(old)
        assert old.startswith(received)
        assert fleet.get("/file") == new


def test_curl_reports_a_file_that_was_replaced_while_it_came(tmp_path: Path) -> None:
    old, new = (os.urandom(40_000_000) for _ in range(2))
    (tmp_path / "site").mkdir()
    path = tmp_path / "site" / "file"
    path.write_bytes(old)
    with served(tmp_path / "site", tmp_path / "run") as fleet:
        words = [require("curl"), "--silent", "--no-buffer", f"{fleet.url}/file"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as curl:
            assert curl.stdout is not None
            received = curl.stdout.read(1)
            replaced(path, new)
            pids = [fleet.pid(f"replica-{index}") for index in range(3)]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            received += curl.stdout.read()
        assert curl.returncode in {18, 56}  # a partial file, a connection that was reset
        assert len(received) < len(old)
        assert old.startswith(received)


def test_a_transfer_goes_on_while_a_replica_still_has_the_old_file(tmp_path: Path) -> None:
    old, new = (os.urandom(40_000_000) for _ in range(2))
    (tmp_path / "site").mkdir()
    path = tmp_path / "site" / "file"
    path.write_bytes(old)
    with served(tmp_path / "site", tmp_path / "run", "--replicas", 1) as fleet:
        connection, response = begun(fleet, "/file")  # before it is hashed, or while it is
        replaced(path, new)
        assert response.read() == old
        connection.close()
        assert fleet.get("/file") == new


@pytest.mark.parametrize("milliseconds", range(0, 60, 6))
def test_a_fleet_ends_when_asked_to_though_a_replica_is_just_being_started(tmp_path: Path, milliseconds: int) -> None:
    (tmp_path / "site").mkdir()
    with served(tmp_path / "site", tmp_path / "run") as fleet:
        os.kill(fleet.pid("replica-0"), signal.SIGKILL)
        time.sleep(milliseconds / 1000)
        assert fleet.program.terminate() == 0
        assert fleet.pids() == []
