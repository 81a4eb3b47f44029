"""The example of resumable uploads, with real clients that die on the way, and replicas that die all the time."""

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.peers.tus_clients import CLIENTS, TusClient
from tests.support.browser import Browser, browser
from tests.support.killing import Killer, drained
from tests.support.processes import PATIENCE_SECONDS, ROOT
from tests.support.served import Served, running
from tests.support.system import missing, require

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SIZE = 60_000_000
FIRST_BYTES = 1_000_000  # are on the server when a client is killed
CHOOSE = "document.querySelector('input')"
STATE = "document.querySelector('#state').textContent"
REACHED = """new Promise((resolve) => {
  const look = () => (%s ? resolve(true) : setTimeout(look, 20));
  look();
})"""


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("payload") / "large file.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("UPLOADS", str(tmp_path / "uploads"))
    with running("apps.uploads:app", tmp_path / "run") as started, drained(started):
        yield started


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def arrived(folder: Path) -> int:
    """The bytes of the one upload that are on the disk by its record, from outside."""
    [record] = [json.loads(path.read_text()) for path in (folder / "uploads" / "incoming").glob("*/info")] or [{}]
    return int(record.get("offset", 0))


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_an_upload_survives_its_clients_and_replicas(
    client: TusClient, fleet: Served, payload: Path, tmp_path: Path
) -> None:
    if reason := client.missing():
        pytest.skip(reason) if client.name == "tus-js-client" else missing(reason)
    state = tmp_path / "state"
    argv = client.argv(payload, f"{fleet.url}/files/", state)
    with Killer(fleet, gently=True) as killer:
        for _ in range(2):
            before = arrived(tmp_path) if state.exists() else 0
            process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True)
            while process.poll() is None and arrived(tmp_path) < before + FIRST_BYTES:
                killer.struck.wait(0.02)
                killer.struck.clear()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert subprocess.run(argv, cwd=ROOT, check=False, timeout=3 * PATIENCE_SECONDS).returncode == 0
    [complete] = (tmp_path / "uploads" / "complete").iterdir()
    assert sha256(complete) == sha256(payload)
    assert killer.kills > 0


def test_a_page_that_is_closed_goes_on_with_the_file(fleet: Served, payload: Path, tmp_path: Path) -> None:
    (tmp_path / "browser").mkdir()
    with browser(require("chromium"), tmp_path / "browser") as page:
        chosen(page, fleet, payload)
        page.evaluate(REACHED % "document.querySelector('progress').value > 0.1")
        while arrived(tmp_path) < FIRST_BYTES:
            page.evaluate("new Promise((resolve) => setTimeout(resolve, 20))")
        page.visit("about:blank")
        chosen(page, fleet, payload)
        page.evaluate(REACHED % f"{STATE}.endsWith('is complete.')")
        page.evaluate(REACHED % "document.querySelector('li a')")
        assert page.evaluate("document.querySelector('li a').textContent") == payload.name
    [complete] = (tmp_path / "uploads" / "complete").iterdir()
    assert sha256(complete) == sha256(payload)


def chosen(page: Browser, fleet: Served, payload: Path) -> None:
    """Choose the file on the page of uploads."""
    page.visit(f"{fleet.url}/")
    found = page.call("Runtime.evaluate", expression=CHOOSE)["result"]["objectId"]
    page.call("DOM.setFileInputFiles", files=[str(payload)], objectId=found)
