"""Live connections move between gateways of different releases, or stay where they are, and the reason is reported."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Fleet, ListeningProgram, Program
from tests.support.replica_program import tape_digest
from tests.support.slow_download import SlowDownload
from trickles.client.snapshot import VERSION
from trickles.drivers.addresses import shown

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

LARGE_BYTES = 100_000_000


@pytest.fixture
def words(fleet: Fleet, key: Path, tmp_path: Path) -> list[object]:
    named = ["--listen", "127.0.0.1:0", "--replica", shown(fleet.addresses[0]), "--server-key", key]
    return [*named, "--pid-file", tmp_path / "gateway.pid", "--drain", 60]


def release(root: Path, module: str, text: str, other: str) -> Path:
    """A copy of the package in which that text of a module is another."""
    shutil.copytree(ROOT / "trickles", root / "trickles", ignore=shutil.ignore_patterns("__pycache__"))
    source = root / "trickles" / module
    assert text in source.read_text()
    source.write_text(source.read_text().replace(text, other))
    return root


def test_a_connection_moves_to_another_release_and_back(words: list[object], tmp_path: Path) -> None:
    """Its engine keeps its state under other names, which a copy of its objects would not survive."""
    other = release(tmp_path / "other", "client/flight.py", "self._tail_lost", "self._tail_is_gone")
    with ExitStack() as programs:
        running: Program = programs.enter_context(listening := ListeningProgram(*words))
        download = SlowDownload(listening.addresses[0], LARGE_BYTES)
        for root in (other, ROOT):
            fresh = programs.enter_context(Program("trickles", "gateway", *words, "--takeover", root=root))
            assert fresh.output.next() == listening.first_line
            download.read_while_alive(running.pid)  # the old one ends when its last connection has moved
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
        download = SlowDownload(old.addresses[0], LARGE_BYTES)
        with Program("trickles", "gateway", *words, "--takeover", root=other) as fresh:
            assert fresh.output.next() == old.first_line
            download.read_until(old.errors.fileno())
            said = old.errors.next()
            reason = f"a snapshot of version {VERSION}, and this release reads version {VERSION + 1}"
            assert said.endswith(f"connections stay here: the successor cannot go on with {reason}")
            assert download.finish() == tape_digest(LARGE_BYTES)
            assert old.wait() == 0
            assert fresh.terminate() == 0
