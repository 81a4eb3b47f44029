"""A store's identity: one for all who use the directory, another one for whatever else stands in its place."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.spools import HOST, ONE, Clock, copied, logs, put_back
from trickles.drivers.spooldir import SpoolDirectory
from trickles.spool import STORE_BYTES, SpoolFull


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_all_who_use_a_directory_know_it_by_one_identity(root: Path, tmp_path: Path) -> None:
    first = SpoolDirectory(root)
    assert first.identity == SpoolDirectory(root).identity == first.write(ONE, HOST, 0, b"x")
    assert len(first.identity) == STORE_BYTES
    assert SpoolDirectory(tmp_path / "other").identity != first.identity


def test_processes_that_start_at_once_agree(root: Path) -> None:
    read, write = os.pipe()
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            try:
                os.write(write, SpoolDirectory(root).identity)
            finally:
                os._exit(0)
        children.append(child)
    os.close(write)
    for child in children:
        os.waitpid(child, 0)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == 8 * SpoolDirectory(root).identity


def test_a_copy_is_another_store(root: Path, tmp_path: Path) -> None:
    spool = SpoolDirectory(root)
    spool.write(ONE, HOST, 0, b"piece")
    other = SpoolDirectory(copied(root, tmp_path / "copy"))
    assert other.identity != spool.identity
    assert logs(tmp_path / "copy")
    assert not other.holds(ONE, 0, 5)
    assert other.read(ONE, 0, 5) == b""


def test_a_backup_that_is_put_back_is_another_store_within_a_second(root: Path, tmp_path: Path) -> None:
    clock = Clock()
    spool = SpoolDirectory(root, clock=clock)
    store = spool.write(ONE, HOST, 0, b"piece")
    put_back(copied(root, tmp_path / "backup"), root)
    clock.at += 1
    assert spool.identity not in (store, b"")
    assert spool.read(ONE, 0, 5) == b""
    assert spool.write(ONE, HOST, 0, b"again") == SpoolDirectory(root).identity
    assert spool.read(ONE, 0, 5) == b"again"


def test_a_directory_that_vanishes_is_made_again(root: Path) -> None:
    clock = Clock()
    spool = SpoolDirectory(root, clock=clock)
    store = spool.write(ONE, HOST, 0, b"piece")
    shutil.rmtree(root)
    assert spool.read(ONE, 0, 5) == b""
    with pytest.raises(SpoolFull):
        spool.write(ONE, HOST, 5, b"more")
    clock.at += 1
    assert spool.write(ONE, HOST, 0, b"piece") not in (store, b"")
    assert root.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_used_holds_nothing_and_stops_nobody(root: Path) -> None:
    clock = Clock()
    spool = SpoolDirectory(root, clock=clock)
    spool.write(ONE, HOST, 0, b"piece")
    shutil.rmtree(root)
    root.write_bytes(b"a file in its place")
    clock.at += 1
    assert (spool.identity, spool.read(ONE, 0, 5), spool.holds(ONE, 0, 5), spool.sweep()) == (b"", b"", False, 0)
    with pytest.raises(SpoolFull):
        spool.write(ONE, HOST, 0, b"piece")


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_file_that_a_process_died_at_is_made_anew(root: Path, content: bytes) -> None:
    root.mkdir(mode=0o700)
    (root / "identity").write_bytes(content)
    (root / "identity").chmod(0o600)
    assert len(SpoolDirectory(root).identity) == STORE_BYTES
    assert (root / "identity").stat().st_size == STORE_BYTES
