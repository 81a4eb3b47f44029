"""HTTPS by curl through `trickleweb serve`, while replicas are killed and the certificate is renewed."""

import hashlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.processes import PATIENCE_SECONDS, Program
from tests.support.served import ends, served
from tests.support.system import require

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

LARGE_BYTES = 60_000_000


def test_curl_speaks_https_while_replicas_die_and_the_certificate_is_renewed(tmp_path: Path) -> None:
    curl, content = require("curl"), os.urandom(LARGE_BYTES)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "large").write_bytes(content)
    authority = Authority(tmp_path)
    pair = authority.issue()
    careful = [curl, "--silent", "--show-error", "--fail", "--cacert", str(authority.file)]
    with served(tmp_path / "site", tmp_path / "run", "--no-respawn", *pair.words) as fleet:
        assert fleet.url.startswith("https://127.0.0.1:")
        fetching = subprocess.Popen([*careful, "--limit-rate", "100M", f"{fleet.url}/large"], stdout=subprocess.PIPE)
        assert fetching.stdout is not None
        digest = hashlib.sha256(fetching.stdout.read(1_000_000))
        for index in range(2):
            os.kill(fleet.pid(f"replica-{index}"), signal.SIGKILL)
        digest.update(fetching.stdout.read())
        fetching.stdout.close()
        assert fetching.wait(PATIENCE_SECONDS) == 0
        assert digest.digest() == hashlib.sha256(content).digest()

        fresh = Authority(tmp_path)
        fresh.issue()
        os.kill(fleet.pid("gateway"), signal.SIGHUP)
        asking = [*careful, "--head", f"{fleet.url}/large"]
        assert any(subprocess.run(asking, capture_output=True, check=False).returncode == 0 for _ in range(100))
        pair.key.chmod(0o644)
        os.kill(fleet.pid("gateway"), signal.SIGHUP)
        while "is open to other users" not in fleet.program.errors.next():
            pass
        assert subprocess.run(asking, capture_output=True, check=False).stdout.startswith(b"HTTP/1.1 200")
        pid = fleet.pid("gateway")
        assert fleet.program.terminate() == 0
        assert ends(pid)


def test_a_key_that_others_can_read_keeps_it_from_starting(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue()
    pair.key.chmod(0o644)
    listen = ("--listen", "127.0.0.1:0", "--replica", "127.0.0.1:1")
    for words, expected in (
        (pair.words, f"chmod go-rwx {pair.key}"),
        (pair.words[:2], "--tls-cert and --tls-key go together"),
    ):
        with Program("trickles", "gateway", *listen, *words) as program:
            assert program.wait() == 1
            assert expected in program.errors.rest()
