"""The spool in a directory: right bytes whoever writes, bounds, age, and whatever else may lie there."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.spools import HOST, ONE, OTHER_HOST, TWO, Clock, age, logs
from trickles.drivers.spooldir import SpoolBounds, SpoolDirectory
from trickles.drivers.spooldir.log import LEAST_RECORD_BYTES
from trickles.drivers.storedir import StoreDirectoryError
from trickles.spool import MemorySpool, Spool, SpoolFull


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_pieces_in_any_order_from_any_replica_make_the_whole(root: Path) -> None:
    first, second = SpoolDirectory(root), SpoolDirectory(root)
    second.write(ONE, HOST, 5, b"world")
    first.write(ONE, HOST, 0, b"hell")
    assert not second.holds(ONE, 0, 10)
    first.write(ONE, HOST, 4, b"ow")
    second.write(ONE, HOST, 4, b"ow")
    assert first.read(ONE, 0, 100) == second.read(ONE, 0, 10) == b"helloworld"
    assert first.read(ONE, 3, 6) == b"low"
    assert first.holds(ONE, 0, 10)
    assert not first.holds(ONE, 0, 11)
    assert (first.read(ONE, 10, 20), first.read(TWO, 0, 9)) == (b"", b"")


def test_a_hole_ends_what_can_be_read(root: Path) -> None:
    spool = SpoolDirectory(root)
    spool.write(ONE, HOST, 0, b"begin")
    spool.write(ONE, HOST, 9, b"end")
    assert (spool.read(ONE, 0, 12), spool.read(ONE, 5, 12), spool.read(ONE, 9, 12)) == (b"begin", b"", b"end")
    assert not spool.holds(ONE, 0, 12)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(0, 140_000), st.binary(min_size=1, max_size=20))),
    st.booleans(),
    st.integers(0, 140_000),
    st.integers(0, 140_000),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_it_agrees_with_the_spool_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    writes: list[tuple[bytes, int, bytes]],
    large: bool,
    start: int,
    stop: int,
) -> None:
    content = os.urandom(1 << 18)  # one connection's input has one byte at each place, whoever sends it
    spools: list[Spool] = [SpoolDirectory(tmp_path_factory.mktemp("spools") / "spool"), MemorySpool()]
    for spool in spools:
        for owner, offset, data in writes:
            size = 3_000 * len(data) if large else len(data)
            spool.write(owner, HOST, offset, content[offset : offset + size])
    for owner in (ONE, TWO):
        for a, b in ((start, stop), *((offset, offset + 70_000) for _, offset, _ in writes)):
            stored, expected = [(spool.read(owner, a, b), spool.holds(owner, a, b)) for spool in spools]
            assert stored == expected


def test_nobody_else_may_read_what_lies_there(root: Path) -> None:
    SpoolDirectory(root).write(ONE, HOST, 0, b"secret")
    (log,) = logs(root)
    found = [path.stat().st_mode & 0o777 for path in (root, root / "ab", log, root / "identity")]
    assert found == [0o700, 0o700, 0o600, 0o600]


def test_a_connection_has_a_bound(root: Path) -> None:
    spool = SpoolDirectory(root, SpoolBounds(most_bytes=10_000))
    spool.write(ONE, HOST, 9_990, b"x" * 10)
    with pytest.raises(SpoolFull):
        spool.write(ONE, HOST, 9_991, b"x" * 10)
    with pytest.raises(SpoolFull):
        spool.write(ONE, HOST, 1 << 62, b"x")


def test_repeating_pieces_fills_no_disk(root: Path) -> None:
    spool = SpoolDirectory(root, SpoolBounds(most_bytes=10_000))
    for _ in range(100):
        spool.write(ONE, HOST, 0, b"x" * 1_000)
    (log,) = logs(root)
    assert log.stat().st_size < 1_100
    for size in range(1_001, 1_018):
        spool.write(ONE, HOST, 0, b"x" * size)
    with pytest.raises(SpoolFull):
        spool.write(ONE, HOST, 0, b"x" * 2_000)
    assert log.stat().st_size <= 20_000
    assert spool.read(ONE, 0, 1_000) == b"x" * 1_000


def test_a_piece_that_was_lost_is_written_again(root: Path) -> None:
    spool = SpoolDirectory(root)
    for harm in (lambda log: log.unlink(), lambda log: os.truncate(log, 20), lambda log: log.write_bytes(bytes(600))):
        spool.write(ONE, HOST, 0, b"piece")
        harm(logs(root)[-1])
        assert spool.read(ONE, 0, 5) == b""
        spool.write(ONE, HOST, 0, b"piece")
        assert spool.read(ONE, 0, 5) == SpoolDirectory(root).read(ONE, 0, 5) == b"piece"
        for log in logs(root):
            log.unlink()
        assert not spool.holds(ONE, 0, 5)


def test_a_full_disk_is_a_full_spool_and_leaves_no_torn_piece(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SpoolDirectory(root)
    spool.write(ONE, HOST, 0, b"kept")
    writev = os.writev

    def full(descriptor: int, parts: list[bytes]) -> int:
        writev(descriptor, [b"".join(parts)[:100]])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    sizes = [path.stat().st_size for path in logs(root)]
    for owner in (ONE, TWO):
        with pytest.raises(SpoolFull):
            spool.write(owner, HOST, 4, b"lost" * 100)
    assert [path.stat().st_size for path in logs(root)] == sizes
    monkeypatch.undo()
    spool.write(ONE, HOST, 4, b"again")
    assert spool.read(ONE, 0, 99) == SpoolDirectory(root).read(ONE, 0, 99) == b"keptagain"


def test_a_write_that_the_system_cuts_short_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SpoolDirectory(root)
    write, writev = os.write, os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: writev(fd, [b"".join(parts)[:3]]))
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    spool.write(ONE, HOST, 2, b"0123456789")
    monkeypatch.undo()
    assert spool.read(ONE, 2, 99) == SpoolDirectory(root).read(ONE, 2, 99) == b"0123456789"


def test_a_process_that_was_forked_writes_logs_of_its_own(root: Path) -> None:
    spool = SpoolDirectory(root)
    spool.write(ONE, HOST, 0, b"parent")
    child = os.fork()
    if child == 0:
        try:
            spool.write(ONE, HOST, 6, b"child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    spool.write(ONE, HOST, 11, b"parent")
    assert len(logs(root)) == 2
    assert spool.read(ONE, 0, 99) == b"parentchildparent"


def test_what_is_old_is_swept_and_cannot_be_mistaken_for_zeros(root: Path) -> None:
    clock = Clock()
    noon = clock.at
    spool = SpoolDirectory(root, SpoolBounds(most_age=60), clock=clock)
    spool.write(ONE, HOST, 0, b"old")
    spool.write(TWO, HOST, 0, b"young")
    age(root, noon, ONE)
    age(root, noon + 30, TWO)
    clock.at += 61
    assert (spool.sweep(), spool.sweep()) == (1, 0)
    assert (spool.read(ONE, 0, 9), spool.read(TWO, 0, 9)) == (b"", b"young")
    spool.write(ONE, HOST, 3, b"more")  # its beginning is lost
    assert (spool.read(ONE, 0, 9), spool.holds(ONE, 0, 7), spool.read(ONE, 3, 9)) == (b"", False, b"more")
    assert len(logs(root)) == 2, "nothing but logs is left of what was swept"


def test_a_part_of_the_folders_is_swept_at_a_time(root: Path) -> None:
    clock = Clock()
    noon = clock.at
    spool = SpoolDirectory(root, SpoolBounds(most_age=60), clock=clock)
    for number in range(32):
        spool.write(bytes((number,)) * 32, HOST, 0, b"old")
    age(root, noon - 100)
    assert [spool.sweep(8) for _ in range(6)] == [8, 8, 8, 8, 0, 0]


def test_a_clock_that_was_set_back_keeps_nothing_for_ever(root: Path) -> None:
    clock = Clock()
    noon = clock.at
    spool = SpoolDirectory(root, SpoolBounds(most_age=60), clock=clock)
    spool.write(ONE, HOST, 0, b"from the future")
    age(root, noon + 100_000)
    assert spool.sweep() == 1


def test_what_was_consumed_goes_soon_but_not_at_once(root: Path) -> None:
    clock = Clock()
    noon = clock.at
    spool = SpoolDirectory(root, SpoolBounds(most_age=3600, most_spent_age=300), clock=clock)
    spool.write(ONE, HOST, 0, b"consumed")
    spool.write(TWO, HOST, 0, b"consumed, and more")
    age(root, noon)
    spool.discard(ONE, 8)
    spool.discard(TWO, 8)
    clock.at += 299
    assert spool.sweep() == 0
    assert spool.read(ONE, 0, 8) == b"consumed"  # a request may be repeated
    clock.at += 2
    assert spool.sweep() == 1
    assert (spool.read(ONE, 0, 8), spool.read(TWO, 0, 8)) == (b"", b"consumed")


def test_strange_files_are_left_alone(root: Path) -> None:
    clock = Clock(float(1 << 40))
    spool = SpoolDirectory(root, clock=clock)
    strangers = [root / "notes", root / "ab" / "notes.txt", root / "ab" / ("0" * 62), root / "zz", root / "abc"]
    for stranger in strangers:
        stranger.mkdir(parents=True, exist_ok=True)
    link = root / "ab" / f"{ONE.hex()[2:]}.{HOST.hex()}.{'0' * 16}"
    link.symlink_to("/etc/hostname")
    assert spool.sweep() == 0
    assert all(stranger.is_dir() for stranger in strangers)
    assert link.is_symlink()


def test_nothing_but_regular_files_is_read_or_written(root: Path) -> None:
    spool = SpoolDirectory(root)
    spool.write(ONE, HOST, 0, b"x")
    (place,), elsewhere = logs(root), root / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    makers: list[Callable[[], None]] = [lambda: place.symlink_to(elsewhere), place.mkdir, lambda: os.mkfifo(place)]
    place.unlink()
    for make in makers:
        make()
        assert spool.read(ONE, 0, 9) == b""
        assert not spool.holds(ONE, 0, 1)
        if place.is_dir():
            place.rmdir()
        else:
            place.unlink()
    assert elsewhere.read_bytes() == b"untouched"


def test_a_strange_file_in_the_place_of_a_log_is_not_written(root: Path) -> None:
    spool = SpoolDirectory(root)
    spool.write(ONE, HOST, 0, b"x")
    (place,), elsewhere = logs(root), root / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    place.unlink()
    place.symlink_to(elsewhere)
    with pytest.raises(SpoolFull):
        spool.write(ONE, HOST, 1, b"x")
    spool.write(ONE, HOST, 1, b"y")  # into a log of another name
    assert spool.read(ONE, 1, 2) == b"y"
    assert elsewhere.read_bytes() == b"untouched"


def test_a_directory_that_others_may_enter_is_refused(root: Path, tmp_path: Path) -> None:
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    with pytest.raises(StoreDirectoryError, match=r"is open to other users .mode 0755.: chmod go-rwx"):
        SpoolDirectory(root)
    (tmp_path / "file").touch()
    with pytest.raises(StoreDirectoryError, match="cannot hold a spool: Not a directory"):
        SpoolDirectory(tmp_path / "file" / "spool")
    with pytest.raises(StoreDirectoryError, match="cannot hold a spool: File exists"):
        SpoolDirectory(tmp_path / "file")


def test_hosts_share_no_bound(root: Path) -> None:
    spool = SpoolDirectory(root, SpoolBounds(most_host_bytes=10_000, most_total_bytes=100_000))
    spool.write(ONE, HOST, 0, b"x" * 9_000)
    with pytest.raises(SpoolFull):
        spool.write(ONE, HOST, 9_000, b"x" * 2_000)
    spool.write(TWO, OTHER_HOST, 0, b"x" * 9_000)


def test_small_pieces_take_as_much_as_they_cost(root: Path) -> None:
    spool = SpoolDirectory(root)
    for offset in range(20):
        spool.write(ONE, HOST, offset, b"x")
    assert logs(root)[0].stat().st_size == 16 + 20 * LEAST_RECORD_BYTES
    assert spool.read(ONE, 0, 99) == b"x" * 20
