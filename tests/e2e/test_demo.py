"""`trickleweb demo` as users run it: a download while replicas are killed, and what it says of a wrong one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]


def demo(folder: Path, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [sys.executable, "-m", "trickleweb", "demo", "--directory", str(folder), *words]
    environ = os.environ | {"PATH": os.environ["PATH"] if path is None else path}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environ)


@pytest.mark.parametrize("client", ["curl", "python"])
def test_the_download_survives(tmp_path: Path, client: str) -> None:
    if client == "curl":
        require("curl")
    record = tmp_path / "record"
    words = ["--size", "40M", "--limit-rate", "16M", "--kill-every", "0.5", "--client", client, "--record", str(record)]
    done = demo(tmp_path, *words)
    assert (done.returncode, done.stderr) == (0, "")
    source, download, ended, *_ = done.stdout.splitlines()[-5:]
    assert source.split()[2] == download.split()[2]
    assert ended.startswith(f"{client:9} exit code 0")
    told = [json.loads(line) for line in record.read_text().splitlines()]
    assert sum("kill" in line for line in told) >= 2
    assert told[-1]["result"]["equal"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


def test_a_wrong_download_is_said_to_be_wrong(tmp_path: Path) -> None:
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text("""#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\nprintf wrong >"$2"\n""")
    curl.chmod(0o755)
    done = demo(tmp_path, "--size", "1M", path=f"{curl.parent}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 1
    assert "NOT EQUAL to the source" in done.stdout


def test_a_client_that_fails_is_heard(tmp_path: Path) -> None:
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text("#!/bin/sh\necho 'curl: (18) too bad' >&2\nexit 18\n")
    curl.chmod(0o755)
    done = demo(tmp_path, "--size", "1M", path=f"{curl.parent}{os.pathsep}{os.environ['PATH']}")
    assert (done.returncode, done.stderr) == (1, "curl: (18) too bad\n")
    assert "sha256 nothing" in done.stdout
