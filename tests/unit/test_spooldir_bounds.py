"""Who fills a spool keeps others out for no longer than the documented time: one host not at all, many five minutes."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.spools import OTHER_HOST, TWO, Clock, age, logs
from trickles.drivers.spooldir import SpoolBounds, SpoolDirectory
from trickles.drivers.spooldir.keeping import FOLDERS, LEAST_LOG_BYTES
from trickles.spool import SpoolFull

SMALL = SpoolBounds(
    most_total_bytes=400 * LEAST_LOG_BYTES,
    most_host_bytes=200 * LEAST_LOG_BYTES,
    most_total_logs=300,
    most_host_logs=100,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def owners() -> Iterator[bytes]:
    """Connections without end."""
    return (number.to_bytes(2, "big") * 16 for number in count())


def fill(spool: SpoolDirectory, hosts: Iterator[bytes], connections: Iterator[bytes]) -> int:
    """One-byte pieces, each from another connection, until there is no room for any host; how many were taken."""
    taken = 0
    for host in hosts:
        try:
            while True:
                spool.write(next(connections), host, 0, b"x")
                taken += 1
        except SpoolFull:
            if spool_is_full(spool, connections):
                return taken
    return taken


def spool_is_full(spool: SpoolDirectory, connections: Iterator[bytes]) -> bool:
    try:
        spool.write(next(connections), b"nobody..", 0, b"x")
    except SpoolFull:
        return True
    return False


def hosts() -> Iterator[bytes]:
    """Addresses without end."""
    return (number.to_bytes(8, "big") for number in count())


def test_one_host_fills_its_share_and_keeps_nobody_out(root: Path) -> None:
    clock = Clock()
    spool = SpoolDirectory(root, SMALL, clock=clock)
    taken = fill(spool, iter([b"one host"]), owners())
    assert taken == SMALL.most_host_logs
    for replica in (spool, SpoolDirectory(root, SMALL, clock=clock)):
        replica.write(TWO, OTHER_HOST, 0, b"x" * 100_000)
        with pytest.raises(SpoolFull):
            replica.write(b"z" * 32, b"one host", 0, b"x")


def test_many_hosts_that_fill_it_keep_others_out_for_five_minutes(root: Path) -> None:
    clock = Clock()
    noon = clock.at
    spool = SpoolDirectory(root, SMALL, clock=clock)
    taken = fill(spool, hosts(), owners())
    assert 200 <= taken <= SMALL.most_total_logs
    age(root, noon)
    with pytest.raises(SpoolFull):
        spool.write(TWO, OTHER_HOST, 0, b"x")
    clock.at = noon + SMALL.most_crowded_age
    assert spool.sweep() == 0
    clock.at += 1
    assert spool.sweep() > 0
    spool.write(TWO, OTHER_HOST, 0, b"x" * 1_000)


def test_a_full_spool_is_swept_by_those_who_want_to_write(root: Path) -> None:
    clock = Clock()
    noon = clock.at
    spool = SpoolDirectory(root, SMALL, clock=clock)
    fill(spool, hosts(), owners())
    age(root, noon)
    clock.at = noon + SMALL.most_crowded_age + 1
    for _ in range(2 * FOLDERS):  # a folder for each piece that comes, at most
        clock.at += 0.05
        try:
            spool.write(TWO, OTHER_HOST, 0, b"x")
            break
        except SpoolFull:
            continue
    assert logs(root, TWO)


@pytest.mark.slow
def test_nothing_is_left_of_what_was_swept(root: Path) -> None:
    """No mark for seven days: one-byte pieces may come again and again."""
    clock = Clock()
    spool, connections = SpoolDirectory(root, SMALL, clock=clock), owners()
    for _ in range(5):
        assert fill(spool, hosts(), connections) >= 200
        clock.at += SMALL.most_age + 1
        age(root, clock.at - SMALL.most_age - 1)
        spool.sweep()
        assert not logs(root)
        assert not [path for path in root.glob("*/*") if path.is_file() or path.is_symlink()]


def test_what_other_replicas_write_is_counted_too(root: Path) -> None:
    clock = Clock()
    bounds = SpoolBounds(most_total_bytes=10 * LEAST_LOG_BYTES, most_host_bytes=1 << 40)
    spool, other = SpoolDirectory(root, bounds, clock=clock), SpoolDirectory(root, bounds, clock=clock)
    connections = owners()
    for _ in range(10):
        other.write(next(connections), OTHER_HOST, 0, b"x")
    spool.sweep()
    with pytest.raises(SpoolFull):
        spool.write(TWO, OTHER_HOST, 0, b"x")


def test_space_that_was_given_back_can_be_used(root: Path) -> None:
    clock = Clock()
    bounds = SpoolBounds(most_total_bytes=20_000, most_host_bytes=20_000)
    spool = SpoolDirectory(root, bounds, clock=clock)
    spool.write(TWO, OTHER_HOST, 0, b"x" * 15_000)
    with pytest.raises(SpoolFull):
        spool.write(TWO, OTHER_HOST, 15_000, b"x" * 9_000)
    for log in logs(root):
        log.unlink()
    clock.at += 1.0  # it counts again
    spool.write(TWO, OTHER_HOST, 0, b"x" * 9_000)


def test_small_pieces_of_one_connection_are_bounded_until_they_are_consumed(root: Path) -> None:
    clock = Clock()
    spool = SpoolDirectory(root, SpoolBounds(most_small_pieces=10), clock=clock)
    for offset in range(10):
        spool.write(TWO, OTHER_HOST, offset, b"x")
    with pytest.raises(SpoolFull):
        spool.write(TWO, OTHER_HOST, 10, b"x")
    spool.write(TWO, OTHER_HOST, 10, b"x" * 1_000)
    spool.discard(TWO, 500)
    with pytest.raises(SpoolFull):
        spool.write(TWO, OTHER_HOST, 1_010, b"x")
    spool.discard(TWO, 1_010)
    spool.write(TWO, OTHER_HOST, 1_010, b"x")
