"""Processes under a service manager: they report their states, and take addresses that the machine has not yet."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.namespaces import ip, machines
from tests.support.processes import ROOT
from trickles.drivers.keystore import init_keystore

pytestmark = pytest.mark.e2e

PATIENCE = 60
AWAY = "10.9.9.9"


class Unit:
    """A process that speaks to a manager's socket."""

    def __init__(self, folder: Path, *words: object, prefix: tuple[str, ...] = ()) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(folder / "notify"))
        environ = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "2000000", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", *map(str, words)],
            env={**os.environ, **environ},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def hears(self, state: str) -> str:
        """Wait for that state; what it says besides."""
        while select.select([self._sock], (), (), PATIENCE)[0]:
            said, _, rest = self._sock.recv(4096).decode().partition("\n")
            if said == state:
                return rest
        raise AssertionError(f"no {state} in time")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._sock.close()


@contextmanager
def unit(folder: Path, *words: object, prefix: tuple[str, ...] = ()) -> Iterator[Unit]:
    started = Unit(folder, *words, prefix=prefix)
    try:
        yield started
    finally:
        started.close()


def site(folder: Path) -> Path:
    (folder / "site").mkdir()
    (folder / "site" / "a").write_bytes(b"a")
    init_keystore(folder / "keys")
    return folder / "site"


PROGRAM = "from trickleweb import App\napp = App()\n"
COMMANDS: dict[str, tuple[object, ...]] = {
    "a replica of a folder": ("trickleweb", "replica", "site", "--udp", "127.0.0.1:0", "--keyring", "keys"),
    "a replica of a program": (
        *("trickleweb", "replica", "--app", "program:app", "--udp", "127.0.0.1:0", "--keyring", "keys"),
        *("--ledger", "ledger.sqlite"),
    ),
    "a gateway": (
        *("trickles", "gateway", "--listen", "127.0.0.1:0", "--replica", "127.0.0.1:9"),
        *("--server-key", "keys/server.pub"),
    ),
    "a fleet": (
        *("trickleweb", "serve", "site", "--replicas", 1, "--udp", "127.0.0.1:0", "--listen", "127.0.0.1:0"),
        *("--run-dir", "run"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_reports_when_it_is_ready_alive_reloading_and_stopping(tmp_path: Path, name: str) -> None:
    site(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    with unit(tmp_path, *COMMANDS[name]) as it:
        assert it.hears("READY=1") == f"MAINPID={it.process.pid}"
        it.hears("WATCHDOG=1")
        it.process.send_signal(signal.SIGHUP)
        assert it.hears("RELOADING=1").startswith("MONOTONIC_USEC=")
        it.hears("READY=1")
        assert it.end() == 0
        it.hears("STOPPING=1")


def test_a_replica_and_a_gateway_take_an_address_before_the_machine_has_it(tmp_path: Path) -> None:
    folder = site(tmp_path)
    with machines() as net:
        prefix = ("ip", "netns", "exec", net.name("one"))
        words = ("trickleweb", "replica", folder, "--udp", f"{AWAY}:8443", "--keyring", "keys")
        refused = subprocess.run(
            [*prefix, sys.executable, "-m", *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert (refused.returncode, "cannot be used" in refused.stderr) == (1, True)
        with unit(tmp_path, *words, "--freebind", prefix=prefix) as replica:
            replica.hears("READY=1")
            (tmp_path / "gateway").mkdir()
            listen = ("--listen", f"{AWAY}:8080", "--freebind", "--server-key", "../keys/server.pub")
            before = ("trickles", "gateway", *listen, "--replica", f"{AWAY}:8443")
            with unit(tmp_path / "gateway", *before, prefix=prefix) as gateway:
                gateway.hears("READY=1")
                ip("-n", net.name("one"), "address", "add", f"{AWAY}/32", "dev", "lo")
                fetch = (
                    "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())"
                )
                command = [*prefix, sys.executable, "-c", fetch, f"http://{AWAY}:8080/a"]
                done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
                assert done.stdout == b"a"
