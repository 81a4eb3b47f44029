"""Work of a spool for one datagram: bounded by what was sent, each piece looked at once; nobody pays for another."""

import os
import resource
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.cheats.meter import measured
from tests.support.spools import HOST, ONE, OTHER_HOST, TWO, Clock, logs
from trickles.drivers.spooldir import SpoolBounds, SpoolDirectory, directory
from trickles.drivers.spooldir.descriptors import MOST_OPEN
from trickles.drivers.spooldir.extents import Extents
from trickles.drivers.spooldir.log import Record
from trickles.drivers.spooldir.uploads import LOOK_RECORDS, MOST_LOGS
from trickles.errors import InputBusy
from trickles.spool import SpoolFull

STRETCH = 1 << 16


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def calls(call: Callable[[], object]) -> int:
    return measured(call, most_calls=1_000_000, memory=False).calls


def asked_until_known(spool: SpoolDirectory, owner: bytes, stop: int) -> tuple[bool, int]:
    """What the store says in the end, and how often it was busy before."""
    for busy in range(10_000):
        try:
            return spool.holds(owner, 0, stop), busy
        except InputBusy:
            continue
    raise AssertionError("it is busy for ever")


edges = st.one_of(
    st.integers(0, 60), st.integers(STRETCH - 30, STRETCH + 30), st.integers(2 * STRETCH - 9, 2 * STRETCH)
)
sizes = st.one_of(st.integers(1, 40), st.integers(STRETCH - 40, STRETCH - 1))


@pytest.mark.slow
@given(st.lists(st.tuples(edges, sizes), max_size=30), st.lists(edges, min_size=1, max_size=8))
@settings(max_examples=60)
def test_extents_agree_with_a_map_of_bytes(adds: list[tuple[int, int]], starts: list[int]) -> None:
    extents, held, position = Extents(), bytearray(6 * STRETCH), 16
    for start, size in adds:
        extents.add(Record(start, start + size, position), 3)
        held[start : start + size] = b"1" * size
        position += size
    for start in [*starts, *(start for start, _ in adds)]:
        end = held.find(0, start)
        assert extents.reach(start, 5 * STRETCH) == end
        at = start
        for record, log in extents.covering(start, 5 * STRETCH):
            assert record.start <= at < record.stop
            assert log == 3
            at = record.stop
        assert at == end
        assert extents.has(start, end - start)
        assert not extents.has(start, end + 1 - start)
    assert extents.stop == held.rfind(b"1") + 1


def test_how_far_one_can_read_is_found_in_some_steps_wherever_one_begins(root: Path) -> None:
    extents = Extents()
    for start in range(0, 20 * STRETCH, 256):
        extents.add(Record(start, start + 256, 2 * start), 0)
    extents.add(Record(30 * STRETCH, 30 * STRETCH + 256, 1 << 40), 0)
    for start in (0, 30 * STRETCH, 5, 30 * STRETCH + 1, 3 * STRETCH, 0):
        assert calls(lambda start=start: extents.reach(start, 1 << 40)) < 30  # type: ignore[misc]
    assert extents.reach(1, 1 << 40) == 20 * STRETCH


def test_pieces_within_a_larger_one_are_forgotten() -> None:
    extents = Extents()
    for start in range(STRETCH - 1_000, STRETCH + 1_000):
        extents.add(Record(start, start + 1, start), 0)
    extents.add(Record(STRETCH - 2_000, STRETCH + 2_000, 1 << 20), 1)
    assert [record.start for record, _ in extents.covering(STRETCH - 500, STRETCH + 500)] == [STRETCH - 2_000]
    assert extents.count == 1 + 2  # the piece, and what it covers of two stretches


def test_a_commit_of_what_another_replica_has_is_busy_until_all_was_read(root: Path) -> None:
    writer, reader, count = SpoolDirectory(root), SpoolDirectory(root), 10 * LOOK_RECORDS
    for number in range(count):
        writer.write(ONE, HOST, 256 * number, bytes(256))

    def ask() -> None:
        with pytest.raises(InputBusy):
            reader.holds(ONE, 0, 256 * count)

    assert calls(ask) < 40 * LOOK_RECORDS
    held, busy = asked_until_known(reader, ONE, 256 * count)
    assert held
    assert 8 <= busy <= 9
    assert not asked_until_known(reader, ONE, 256 * count + 1)[0]
    assert reader.read(ONE, 0, 1_000) == bytes(1_000)


def read_until_known(spool: SpoolDirectory, stop: int) -> tuple[bytes, int, int]:
    """What is read in the end, how often it was busy before, and the most calls that a busy reading made."""

    def attempt() -> bytes | None:
        try:
            return spool.read(ONE, 0, stop)
        except InputBusy:
            return None

    most = 0
    for busy in range(10_000):
        found = measured(attempt, most_calls=1_000_000, memory=False)
        if found.result is not None:
            return found.result, busy, most
        most = max(most, found.calls)
    raise AssertionError("it is busy for ever")


def test_a_reading_of_what_was_forgotten_is_busy_until_all_was_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "MOST_UPLOADS", 1)
    writer, reader, count = SpoolDirectory(root), SpoolDirectory(root), 10 * LOOK_RECORDS
    for number in range(count):
        writer.write(ONE, HOST, 256 * number, bytes(256))
    assert asked_until_known(reader, ONE, 256 * count)[0]
    reader.holds(TWO, 0, 1)
    found, busy, most = read_until_known(reader, 256 * count)
    assert found == bytes(256 * count)
    assert 8 <= busy <= 10
    assert most < 40 * LOOK_RECORDS


def test_a_reading_of_a_damaged_log_is_busy_until_all_was_found(root: Path) -> None:
    spool, count = SpoolDirectory(root), 10 * LOOK_RECORDS
    for number in range(count):
        spool.write(ONE, HOST, 600 * number, bytes(600))
    (log,) = logs(root)
    content = bytearray(log.read_bytes())
    content[-1] ^= 1  # of the last piece
    log.write_bytes(content)
    found, busy, most = read_until_known(spool, 600 * count)
    assert found == bytes(600 * (count - 1))
    assert 8 <= busy <= 10
    assert most < 60 * LOOK_RECORDS + 20 * count, "the pieces were read once, to find the one that is damaged"


@pytest.mark.slow
def test_what_many_uploads_cost_is_not_counted_anew_for_each(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = 64, 1024
    monkeypatch.setattr(directory, "MOST_UPLOADS", many)
    spool = SpoolDirectory(root, clock=Clock())  # in which no time passes: nothing is counted afresh
    owners = [sha256(b"%d" % each).digest() for each in range(many + few)]
    for owner in owners:
        spool.write(owner, HOST, 0, b"1")
    again = calls(lambda: [spool.write(owner, HOST, 10, b"1") for owner in owners[:few]])
    assert again < 200 * few
    files = sum(log.stat().st_size > 0 for log in logs(root))
    assert files == len(owners)
    assert spool._keeper.tally.of(HOST.hex()).logs == files, "one that was forgotten is not counted twice"


@pytest.mark.parametrize("by", ["sweeps", "pieces"])
def test_what_was_not_looked_at_is_read_meanwhile(root: Path, by: str) -> None:
    writer, reader, count = SpoolDirectory(root), SpoolDirectory(root), 10 * LOOK_RECORDS
    for number in range(count):
        writer.write(ONE, HOST, 256 * number, bytes(256))
    with pytest.raises(InputBusy):
        reader.holds(ONE, 0, 256 * count)
    if by == "sweeps":
        reader.sweep(1)
    else:
        for number in range(count, count + 20):
            reader.write(ONE, HOST, 256 * number, bytes(256))
    assert reader.holds(ONE, 0, 256 * count)


def test_many_small_pieces_are_read_once(root: Path) -> None:
    spool, content = SpoolDirectory(root), os.urandom(3_000)
    for at in range(len(content)):
        spool.write(ONE, HOST, at, content[at : at + 1])
    first = calls(lambda: spool.read(ONE, 0, len(content)))
    assert first > len(content)
    for start in (1, 2, 1_000):
        assert calls(lambda start=start: spool.read(ONE, start, len(content))) < 100  # type: ignore[misc]
        assert spool.read(ONE, start, len(content)) == content[start:]
    other = SpoolDirectory(root)
    assert asked_until_known(other, ONE, len(content))[0]
    assert other.read(ONE, 0, len(content)) == content
    (log,) = logs(root)
    assert log.stat().st_size < 600 * len(content), "each takes 512 bytes, and all together as many as they are"


def test_a_hole_in_one_upload_gives_no_other_a_new_log(root: Path) -> None:
    clock = Clock()
    spool = SpoolDirectory(root, clock=clock)
    for number in range(50):
        spool.write(ONE, HOST, 1_000 * number, bytes(1_000))
        assert not spool.holds(TWO, 0, 10)
        assert spool.read(TWO, 0, 10) == b""
    assert len(logs(root, ONE)) == 1
    for number in range(50):  # nor does it to the upload itself: a client that skips what it sends learns nothing new
        spool.write(TWO, OTHER_HOST, 2_000 * number, bytes(1_000))
        assert not spool.holds(TWO, 0, 100_000)
    assert len(logs(root, TWO)) == 1


def test_a_log_that_was_damaged_gets_no_more_and_only_so_many_follow_it(root: Path) -> None:
    spool = SpoolDirectory(root)
    spool.write(TWO, HOST, 0, b"other")
    for _ in range(40):
        try:
            spool.write(ONE, HOST, 0, b"piece")
        except SpoolFull:
            break
        for log in logs(root, ONE):
            log.write_bytes(bytes(600))
        assert spool.read(ONE, 0, 5) == b""
    assert 5 < len(logs(root, ONE)) < 12
    assert len(logs(root, TWO)) == 1


def test_an_upload_has_a_bound_of_logs_and_few_are_open_at_a_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replicas = [SpoolDirectory(root, SpoolBounds(most_small_pieces=1 << 30)) for _ in range(30)]
    for number in range(300):
        replicas[number % len(replicas)].write(ONE, HOST, number, bytes((number & 255,)))
    here = max(map(int, (path.name for path in Path("/proc/self/fd").iterdir())))
    resource_limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + MOST_OPEN + 2, resource_limits[1]))
    try:
        assert asked_until_known(replicas[0], ONE, 300)[0]
        assert replicas[0].read(ONE, 0, 300) == bytes(number & 255 for number in range(300))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, resource_limits)


def test_one_upload_from_many_addresses_has_a_bound_of_logs(root: Path) -> None:
    spool = SpoolDirectory(root)
    for number in range(MOST_LOGS):
        spool.write(ONE, number.to_bytes(8, "big"), number, b"x")
    with pytest.raises(SpoolFull):
        spool.write(ONE, HOST, MOST_LOGS, b"x")
    assert spool.read(ONE, 0, 1_000) == b"x" * MOST_LOGS


def test_a_host_cannot_fill_one_folder(root: Path) -> None:
    spool = SpoolDirectory(root, SpoolBounds(most_host_folder_logs=20))
    owners = [b"\xab" + number.to_bytes(31, "big") for number in range(21)]
    for owner in owners[:20]:
        spool.write(owner, HOST, 0, b"x")
    with pytest.raises(SpoolFull):
        spool.write(owners[20], HOST, 0, b"x")
    spool.write(owners[20], OTHER_HOST, 0, b"x")
    spool.write(b"\xac" + owners[20][1:], HOST, 0, b"x")
