"""`trickles run` as users run it: curl by way of its proxy, and programs that know none, while replicas die."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE_SECONDS, ROOT, Fleet
from tests.support.replica_program import PUBLIC, tape_digest
from tests.support.served import served
from tests.support.system import require
from trickles.drivers.addresses import shown
from trickles.drivers.keystore import server_key_text

pytestmark = pytest.mark.e2e

LARGE_BYTES = 60_000_000
TAPE_BYTES = 40_000_000
KEY = server_key_text(PUBLIC)
NOWHERE = ("--map", "web.test=127.0.0.1:1", "--server-key", KEY)


def command(*words: object) -> "subprocess.Popen[bytes]":
    """`trickles run` with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "trickles", "run", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def ran(*words: object, given: bytes = b"") -> tuple[int, bytes, str]:
    """What it does to its end: exit code, output, errors."""
    with command(*words) as process:
        output, errors = process.communicate(given, PATIENCE_SECONDS)
        return process.returncode, output, errors.decode()


def test_curl_does_not_notice_replicas_that_die(tmp_path: Path) -> None:
    content = os.urandom(LARGE_BYTES)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "large").write_bytes(content)
    curl = [require("curl"), "--silent", "--show-error", "--fail"]
    with served(tmp_path / "site", tmp_path / "run", "--no-gateway", "--no-respawn") as fleet:
        words = ("--map", f"*.test={','.join(fleet.udp)}", "--server-key", fleet.run_dir / "server.pub", "--", *curl)
        with command(*words, "http://web.test/large") as process:
            assert process.stdout is not None
            digest = hashlib.sha256(process.stdout.read(1_000_000))
            for index in range(2):
                os.kill(fleet.pid(f"replica-{index}"), signal.SIGKILL)
            digest.update(process.stdout.read())
            assert process.wait(PATIENCE_SECONDS) == 0
        assert digest.digest() == hashlib.sha256(content).digest()
        code, _, errors = ran(*words, "http://elsewhere/large")
        assert code == 22  # of curl, for an HTTP status of failure
        assert "403" in errors
        assert "host not allowed" in errors


def test_the_command_is_the_process_and_its_end_is_the_gateways() -> None:
    code, output, errors = ran(*NOWHERE, "--", "sh", "-c", "echo $http_proxy; cat; exit 7", given=b"given\n")
    assert (code, output.decode().partition("\n")[2], errors) == (7, "given\n", "")
    with command(*NOWHERE, "--", "sh", "-c", "echo $http_proxy; cat") as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as program:
            process.send_signal(signal.SIGKILL)
            assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
            assert program.recv(1) == b""  # the gateway closes what is idle, and ends
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)


def test_signals_reach_the_command() -> None:
    with command(*NOWHERE, "--", "sh", "-c", "trap 'echo caught; exit 3' TERM; echo begun; read line") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == b"caught\n"
        assert process.wait(PATIENCE_SECONDS) == 3


def test_a_gateway_that_cannot_start_is_told_of_and_nothing_runs() -> None:
    code, output, errors = ran("--map", "h=a..b:1", "--server-key", KEY, "--", "echo", "ran")
    assert (code, output, errors.count("\n")) == (1, b"", 1)
    assert "the gateway did not start: cannot find replica 'a..b'" in errors


def tape_program(fleet: Fleet, *words: Sequence[object] | str) -> "subprocess.Popen[bytes]":
    """A hooked program that knows no proxy, with such a map."""
    replicas = ",".join(map(shown, fleet.addresses))
    interpreter = require("python3")
    return command(
        "--map", f"tape.test={replicas}", "--map", f"192.0.2.7:99={replicas}", "--server-key", KEY, "--hook", "--",
        interpreter, "-m", "tests.support.tape_by_tcp", *words, TAPE_BYTES,
    )  # fmt: skip


@pytest.mark.parametrize("host", ["tape.test", "192.0.2.7"])
def test_a_program_that_knows_no_proxy_is_hooked(host: str) -> None:
    require("proxychains4")
    with Fleet(2) as fleet, tape_program(fleet, host, "99") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        fleet.kill(0)
        output, errors = process.communicate(b"\n", PATIENCE_SECONDS)
        assert (output.decode().strip(), errors) == (tape_digest(TAPE_BYTES), b"")
        assert process.returncode == 0
