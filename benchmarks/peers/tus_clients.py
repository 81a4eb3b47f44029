"""Clients of resumable uploads as processes: curl, tuspy and tus-js-client.

Each is given a file, the endpoint and a state file with the URL of the upload, written once it is created: a client
that is started again goes on where the last one stopped. It exits with 0 once all is there.

Run as a program, this is the client of curl: HEAD and PATCH by turns.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.support.processes import module

JS_CLIENT = "tus-js-client@4"
TRIES, PAUSE_SECONDS = 30, 0.2
_VERSION = ("-H", "Tus-Resumable: 1.0.0")
_OCTETS = ("-H", "Content-Type: application/offset+octet-stream", "-H", "Expect:", "-H", "Transfer-Encoding:")


@dataclass(frozen=True, slots=True)
class TusClient:
    """A client: its command for (file, endpoint, state), and what it lacks here."""

    name: str
    argv: Callable[[Path, str, Path], list[str]]
    missing: Callable[[], str | None]


def with_curl(file: Path, endpoint: str, state: Path) -> int:
    """Upload by curl, from the offset that the server names, until all is there."""
    size = file.stat().st_size
    if not state.exists():
        answer = _headers("-X", "POST", "-H", f"Upload-Length: {size}", endpoint)
        state.write_text(endpoint.rstrip("/") + "/" + answer["location"].rpartition("/")[2])
    url = state.read_text()
    for _ in range(TRIES):
        offset = int(_headers("-I", url).get("upload-offset", "-1"))
        if offset == size:
            return 0
        if offset >= 0:
            _send(file, url, offset, size)
        time.sleep(PAUSE_SECONDS)
    return 1


def _headers(*words: str) -> dict[str, str]:
    argv = ["curl", "-sS", "-D", "-", "-o", "/dev/null", *_VERSION, *words]
    lines = subprocess.run(argv, check=False, capture_output=True, text=True).stdout.splitlines()
    pairs = [line.partition(":") for line in lines]
    return {name.lower(): value.strip() for name, _, value in pairs}


def _send(file: Path, url: str, offset: int, size: int) -> None:
    at = ("-H", f"Upload-Offset: {offset}", "-H", f"Content-Length: {size - offset}")
    with file.open("rb") as source:
        source.seek(offset)
        argv = ["curl", "-sS", "-o", "/dev/null", "-X", "PATCH", "-T", "-", *_VERSION, *_OCTETS, *at, url]
        subprocess.run(argv, check=False, stdin=source)


def curl_missing() -> str | None:
    return None if shutil.which("curl") else "there is no curl"


def tuspy_missing() -> str | None:
    return None if find_spec("tusclient") else "not installed: tuspy"


def js_missing() -> str | None:
    if not shutil.which("node") or not shutil.which("npm"):
        return "there is no node with npm"
    return None if _js_folder() else f"npm cannot install {JS_CLIENT}"


def _js_folder() -> Path | None:
    """The folder where npm has installed the client, below the user's cache."""
    folder = Path.home() / ".cache" / "trickles" / JS_CLIENT
    if (folder / "node_modules" / "tus-js-client").is_dir():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), JS_CLIENT]
    done = subprocess.run(argv, check=False, capture_output=True, timeout=120)
    return folder if done.returncode == 0 else None


def _js_argv(file: Path, endpoint: str, state: Path) -> list[str]:
    folder = _js_folder()
    script = Path(__file__).with_name("tus_client.mjs")
    return ["node", str(script), str(folder), str(file), endpoint, str(state)]


CLIENTS = (
    TusClient("curl", lambda *words: module("benchmarks.peers.tus_clients", *words), curl_missing),
    TusClient("tuspy", lambda *words: module("benchmarks.peers.tus_by_tuspy", *words), tuspy_missing),
    TusClient("tus-js-client", _js_argv, js_missing),
)

if __name__ == "__main__":
    raise SystemExit(with_curl(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
