"""A gateway is replaced while programs use it: nothing is refused, nothing is broken off; and what a crash costs."""

import os
import signal
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.support.certificates import Authority
from tests.support.processes import (
    PATIENCE_SECONDS,
    Fleet,
    GatewayProgram,
    ListeningProgram,
    Program,
    free_port,
    received,
)
from tests.support.replica_program import tape, tape_digest
from tests.support.served import ends, served
from tests.support.slow_download import SlowDownload
from tests.support.system import require
from trickles.drivers.addresses import shown

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

TAKEOVERS, LARGE_BYTES = 3, 150_000_000


class Caller(threading.Thread):
    """Opens one connection after another and asks for a little on each, until the block ends."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self.answered = 0
        self.failures: list[str] = []
        self._address = address
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with socket.create_connection(self._address, PATIENCE_SECONDS) as program:
                    program.sendall(b"get 1000\n")
                    program.shutdown(socket.SHUT_WR)
                    right = received(program) == tape(0, 1000)
                self.answered += right
                self.failures += [] if right else ["other bytes"]
            except OSError as error:
                self.failures.append(repr(error))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(PATIENCE_SECONDS)


def test_takeovers_refuse_nobody_and_break_nothing_off(fleet: Fleet, key: Path, tmp_path: Path) -> None:
    """Each by hand, as a deploy does it: the new one says that it is ready, and the old one ends by itself."""
    words: list[object] = ["--listen", "127.0.0.1:0", "--listen", "proxy@127.0.0.1:0", "--pass-through"]
    words += ["--replica", shown(fleet.addresses[0]), "--server-key", key, "--pid-file", tmp_path / "gateway.pid"]
    words += ["--metrics", f":{free_port(kind=socket.SOCK_STREAM)}"]
    with ExitStack() as programs:
        running: Program = programs.enter_context(listening := ListeningProgram(*words))
        caller = programs.enter_context(Caller(listening.addresses[0]))
        download = SlowDownload(listening.addresses[0], LARGE_BYTES)
        for _ in range(TAKEOVERS):
            fresh = programs.enter_context(Program("trickles", "gateway", *words, "--takeover"))
            assert fresh.output.next() == listening.first_line
            assert (tmp_path / "gateway.pid").read_text() == f"{fresh.pid}\n"
            download.read_while_alive(running.pid)  # what is under way moves on, and the old one ends
            assert running.wait() == 0
            seen, running = caller.answered, fresh
            while caller.answered < seen + 20:
                assert not caller.failures
        assert download.finish() == tape_digest(LARGE_BYTES)
        assert caller.failures == []
        assert running.terminate() == 0
        assert not (tmp_path / "gateway.pid").exists()
        assert not (tmp_path / "gateway.sock").exists()


def test_a_successor_that_cannot_start_leaves_the_gateway_as_it_was(fleet: Fleet, key: Path, tmp_path: Path) -> None:
    own = tmp_path / "server.pub"
    own.write_text(key.read_text())
    files = ("--server-key", own, "--pid-file", tmp_path / "gateway.pid")
    with GatewayProgram(fleet.addresses, *files) as gateway:
        own.write_text("junk\n")
        os.kill(gateway.pid, signal.SIGUSR2)
        gateway.errors.next()  # the successor's own last words
        assert gateway.errors.next().endswith("gateway: the successor ended with 1: this gateway goes on")
        with gateway.dial() as program:
            program.sendall(b"get 1000\n")
            program.shutdown(socket.SHUT_WR)
            assert received(program) == tape(0, 1000)
        assert gateway.terminate() == 0


def test_the_bound_of_draining_ends_what_still_goes_on(fleet: Fleet, key: Path, tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue()  # with TLS there is more to a connection than can move
    files = ("--server-key", key, "--control", tmp_path / "control", "--drain", 0, *pair.words)
    named = ("--listen", "127.0.0.1:0", "--replica", shown(fleet.addresses[0]))
    careless = ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    with (
        GatewayProgram(fleet.addresses, *files) as gateway,
        careless.wrap_socket(gateway.dial(), suppress_ragged_eofs=False) as program,
    ):
        program.sendall(b"get 2000000000\n")
        assert program.recv(5) == tape(0, 5)
        with Program("trickles", "gateway", *named, *files, "--takeover") as fresh:
            fresh.output.next()
            assert gateway.wait() == 0
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                received(program)
            assert fresh.terminate() == 0


def test_there_must_be_somebody_to_take_over_from(key: Path, tmp_path: Path) -> None:
    named = ("--listen", "127.0.0.1:0", "--replica", "127.0.0.1:1", "--server-key", key, "--takeover")
    for words, expected in (
        ((), "--takeover needs --control or --pid-file"),
        (("--control", tmp_path / "control"), "no gateway to take over from"),
    ):
        with Program("trickles", "gateway", *named, *words) as program:
            assert program.wait() == 1
            assert expected in program.errors.rest()


def test_who_cannot_be_asked_goes_on_alone(fleet: Fleet, key: Path) -> None:
    with GatewayProgram(fleet.addresses, "--server-key", key) as gateway:
        os.kill(gateway.pid, signal.SIGUSR2)
        assert "no successor: it needs --control or --pid-file" in gateway.errors.next()
        assert gateway.terminate() == 0


def test_serve_follows_its_gateways_successor(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a").write_text("here")
    with served(tmp_path / "site", tmp_path / "run", "--replicas", 1) as fleet:
        pids = [fleet.pid("gateway")]
        for _ in range(2):
            os.kill(pids[-1], signal.SIGUSR2)
            assert ends(pids[-1])
            pids.append(fleet.pid("gateway"))
            assert fleet.get("/a") == b"here"
        assert len(set(pids)) == 3
        os.kill(pids[-1], signal.SIGKILL)  # what dies is started again, a successor too
        while "gateway is back" not in fleet.program.errors.next():
            pass
        pids.append(fleet.pid("gateway"))
        assert fleet.get("/a") == b"here"
        os.kill(pids[-1], signal.SIGUSR2)
        assert ends(pids[-1])
        last = fleet.pid("gateway")
        assert fleet.program.terminate() == 0
        assert ends(last)


def test_the_end_of_the_supervisor_ends_a_successor_too(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    with served(tmp_path / "site", tmp_path / "run", "--replicas", 1) as fleet:
        first = fleet.pid("gateway")
        os.kill(first, signal.SIGUSR2)
        assert ends(first)
        successor = fleet.pid("gateway")
        fleet.program.kill()
        assert ends(successor)


def test_curl_resumes_by_itself_after_a_crash_of_the_gateway(tmp_path: Path) -> None:
    curl, content = require("curl"), os.urandom(40_000_000)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "large").write_bytes(content)
    with served(tmp_path / "site", tmp_path / "run", "--replicas", 1) as fleet:
        words = [curl, "--silent", "--output", str(tmp_path / "got"), "--continue-at", "-", f"{fleet.url}/large"]
        with subprocess.Popen([*words, "--limit-rate", "20M"]) as fetching:
            while not (tmp_path / "got").exists() or (tmp_path / "got").stat().st_size < 1_000_000:
                assert fetching.poll() is None
            os.kill(fleet.pid("gateway"), signal.SIGKILL)
            assert fetching.wait(PATIENCE_SECONDS) in (18, 56)  # a part of the file; the connection was reset
        part = (tmp_path / "got").read_bytes()
        assert 0 < len(part) < len(content)
        assert content.startswith(part)
        while "gateway is back" not in fleet.program.errors.next():
            pass
        assert subprocess.run(words, timeout=PATIENCE_SECONDS, check=False).returncode == 0
        assert (tmp_path / "got").read_bytes() == content
