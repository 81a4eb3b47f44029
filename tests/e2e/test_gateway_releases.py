"""Live connections move between gateways of different releases, or stay where they are, and the reason is reported."""

import hashlib
import os
import select
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE_SECONDS, ROOT, Fleet, ListeningProgram, Program
from tests.support.replica_program import PUBLIC, tape_digest
from trickles.client.snapshot import VERSION
from trickles.drivers.addresses import shown
from trickles.drivers.keystore import server_key_text

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

LARGE_BYTES = 100_000_000
PACE_SECONDS = 0.005


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(1) as started:
        yield started


@pytest.fixture
def words(fleet: Fleet, tmp_path: Path) -> list[object]:
    key = tmp_path / "server.pub"
    key.write_text(server_key_text(PUBLIC) + "\n")
    named = ["--listen", "127.0.0.1:0", "--replica", shown(fleet.addresses[0]), "--server-key", key]
    return [*named, "--pid-file", tmp_path / "gateway.pid", "--drain", 60]


def release(root: Path, module: str, text: str, other: str) -> Path:
    """A copy of the package in which that text of a module is another."""
    shutil.copytree(ROOT / "trickles", root / "trickles", ignore=shutil.ignore_patterns("__pycache__"))
    source = root / "trickles" / module
    assert text in source.read_text()
    source.write_text(source.read_text().replace(text, other))
    return root


class Download:
    """A large one through a gateway, read slowly enough that it is not complete when things have happened."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, PATIENCE_SECONDS)
        self.sock.sendall(b"get %d\n" % LARGE_BYTES)
        self.sock.shutdown(socket.SHUT_WR)
        self.digest = hashlib.sha256(self.sock.recv(1000, socket.MSG_WAITALL))

    def read_until(self, descriptor: int) -> None:
        """Read on until there is something to be read there too."""
        while not select.select([descriptor], [], [], PACE_SECONDS)[0]:
            data = self.sock.recv(1 << 16)
            assert data, "complete too early"
            self.digest.update(data)

    def finish(self) -> str:
        """Read to the end; the digest of all."""
        with self.sock:
            while data := self.sock.recv(1 << 18):
                self.digest.update(data)
        return self.digest.hexdigest()


def test_a_connection_moves_to_another_release_and_back(words: list[object], tmp_path: Path) -> None:
    """Its engine keeps its state under other names, which a copy of its objects would not survive."""
    other = release(tmp_path / "other", "client/flight.py", "self._tail_lost", "self._tail_is_gone")
    with ExitStack() as programs:
        running: Program = programs.enter_context(listening := ListeningProgram(*words))
        download = Download(listening.addresses[0])
        for root in (other, ROOT):
            fresh = programs.enter_context(Program("trickles", "gateway", *words, "--takeover", root=root))
            assert fresh.output.next() == listening.first_line
            ended = os.pidfd_open(running.pid)
            download.read_until(ended)  # for the old one ends when its last connection has moved
            os.close(ended)
            assert running.wait() == 0
            running = fresh
        assert download.finish() == tape_digest(LARGE_BYTES)
        assert running.terminate() == 0


def test_a_release_that_reads_no_such_snapshot_leaves_connections_to_end_where_they_are(
    words: list[object], tmp_path: Path
) -> None:
    stated = f"\nVERSION = {VERSION}\n"
    other = release(tmp_path / "other", "client/snapshot.py", stated, f"\nVERSION = {VERSION + 1}\n")
    with ListeningProgram(*words) as old:
        download = Download(old.addresses[0])
        with Program("trickles", "gateway", *words, "--takeover", root=other) as fresh:
            assert fresh.output.next() == old.first_line
            download.read_until(old.errors.fileno())
            said = old.errors.next()
            reason = f"a snapshot of version {VERSION}, and this release reads version {VERSION + 1}"
            assert said.endswith(f"connections stay here: the successor cannot go on with {reason}")
            assert download.finish() == tape_digest(LARGE_BYTES)
            assert old.wait() == 0
            assert fresh.terminate() == 0
