"""The spool in a directory: right bytes whoever writes, bounds, age, and whatever else may lie there."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trickles.drivers import spooldir
from trickles.drivers.spooldir import SpoolDirectory, SpoolError
from trickles.spool import MemorySpool, Spool, SpoolFull

ONE, TWO = bytes.fromhex("ab00000000000001"), bytes.fromhex("ab00000000000002")
FILE = Path("ab", "00000000000001")


class Clock:
    """Seconds that pass when told; the files' own times are the system's."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def age(path: Path, seconds: float) -> None:
    os.utime(path, (seconds, seconds), follow_symlinks=False)


def test_pieces_in_any_order_from_any_replica_make_the_whole(root: Path) -> None:
    first, second = SpoolDirectory(root), SpoolDirectory(root)
    second.write(ONE, 5, b"world")
    first.write(ONE, 0, b"hell")
    first.write(ONE, 4, b"ow")
    second.write(ONE, 4, b"ow")
    assert first.read(ONE, 0, 100) == second.read(ONE, 0, 10) == b"helloworld"
    assert first.read(ONE, 3, 6) == b"low"
    assert (first.read(ONE, 10, 20), first.read(TWO, 0, 9)) == (b"", b"")


@given(
    st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(0, 40), st.binary(min_size=1, max_size=20))),
    st.integers(0, 60),
    st.integers(0, 60),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_it_agrees_with_the_spool_in_memory(
    root: Path, writes: list[tuple[bytes, int, bytes]], start: int, stop: int
) -> None:
    spools: list[Spool] = [SpoolDirectory(root), MemorySpool()]
    for spool in spools:
        for connection, offset, data in writes:
            spool.write(connection, offset, data)
    for connection in (ONE, TWO):
        stored, expected = [spool.read(connection, start, stop) for spool in spools]
        assert stored == expected
        spools[0].discard(connection)
        assert spools[0].read(connection, 0, 100) == b""


def test_nobody_else_may_read_what_lies_there(root: Path) -> None:
    SpoolDirectory(root).write(ONE, 0, b"secret")
    assert [path.stat().st_mode & 0o777 for path in (root, root / "ab", root / FILE)] == [0o700, 0o700, 0o600]


def test_a_connection_and_the_whole_have_bounds(root: Path) -> None:
    spool = SpoolDirectory(root, most_bytes=10_000)
    spool.write(ONE, 9_990, b"x" * 10)
    with pytest.raises(SpoolFull):
        spool.write(ONE, 9_991, b"x" * 10)
    with pytest.raises(SpoolFull):
        spool.write(ONE, 1 << 62, b"x")
    clock = Clock(1_000.0)
    small = SpoolDirectory(root, most_total_bytes=20_000, clock=clock)
    small.write(TWO, 0, b"x" * 9_000)
    with pytest.raises(SpoolFull):
        small.write(TWO, 9_000, b"x" * 9_000)
    spool.discard(ONE)
    spool.discard(TWO)
    clock.at += 1.0  # it counts again
    small.write(TWO, 0, b"x" * 9_000)


def test_many_tiny_inputs_count_as_what_they_take(root: Path) -> None:
    clock = Clock(0)
    spool = SpoolDirectory(root, most_total_bytes=10 * spooldir.LEAST_FILE_BYTES, clock=clock)
    for number in range(10):
        clock.at += 1
        spool.write(number.to_bytes(8, "big"), 0, b"x")
    clock.at += 1
    with pytest.raises(SpoolFull):
        spool.write(ONE, 0, b"x")


def test_a_full_disk_is_a_full_spool(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = SpoolDirectory(root)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(SpoolFull):
        spool.write(ONE, 0, b"x")


def test_a_write_that_the_system_cuts_short_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    spool = SpoolDirectory(root)
    spool.write(ONE, 2, b"0123456789")
    assert spool.read(ONE, 0, 99) == b"\0\0" + b"0123456789"


def test_what_is_old_is_swept_and_cannot_be_mistaken_for_zeros(root: Path) -> None:
    clock = Clock(0.0)
    spool = SpoolDirectory(root, most_age_seconds=60, clock=clock)
    spool.write(ONE, 0, b"old")
    spool.write(TWO, 0, b"young")
    age(root / FILE, 1_000)
    age(root / "ab" / TWO.hex()[2:], 1_030)
    clock.at = 1_061
    assert (spool.sweep(), spool.sweep()) == (1, 0)
    assert (spool.read(ONE, 0, 9), spool.read(TWO, 0, 9)) == (b"", b"young")
    with pytest.raises(SpoolFull):  # its beginning is lost: the client must notice
        spool.write(ONE, 3, b"more")
    age(root / FILE, 1_000)
    clock.at = 1_001 + spooldir.MARK_SECONDS
    spool.sweep()
    spool.write(ONE, 3, b"more")
    assert spool.read(ONE, 3, 9) == b"more"


def test_strange_files_are_left_alone(root: Path) -> None:
    clock = Clock(1 << 40)
    spool = SpoolDirectory(root, clock=clock)
    strangers = [root / "notes", root / "ab" / "notes.txt", root / "ab" / ("0" * 14), root / "zz", root / "abc"]
    for stranger in strangers:
        stranger.mkdir(parents=True, exist_ok=True)
    (root / FILE).symlink_to("/etc/hostname")
    assert spool.sweep() == 0
    assert all(stranger.is_dir() for stranger in strangers)
    assert (root / FILE).is_symlink()


def test_nothing_but_regular_files_is_read_or_written(root: Path) -> None:
    spool = SpoolDirectory(root)
    place, elsewhere = root / FILE, root / "elsewhere"
    place.parent.mkdir()
    elsewhere.write_bytes(b"untouched")
    makers: list[Callable[[], None]] = [lambda: place.symlink_to(elsewhere), place.mkdir, lambda: os.mkfifo(place)]
    for make in makers:
        make()
        assert spool.read(ONE, 0, 9) == b""
        with pytest.raises(SpoolFull):
            spool.write(ONE, 0, b"x")
        if place.is_dir():
            place.rmdir()
        else:
            place.unlink()
    assert elsewhere.read_bytes() == b"untouched"


def test_a_directory_that_others_may_enter_is_refused(root: Path, tmp_path: Path) -> None:
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    with pytest.raises(SpoolError, match=r"is open to other users .mode 0755.: chmod go-rwx"):
        SpoolDirectory(root)
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="cannot hold a spool: Not a directory"):
        SpoolDirectory(tmp_path / "file" / "spool")
    with pytest.raises(SpoolError, match="cannot hold a spool: File exists"):
        SpoolDirectory(tmp_path / "file")
