"""Hashes worked out once: remembered, kept on disk, done on a thread, ahead of time, and never wrong."""

import os
import sqlite3
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from tests.support.site_folder import LATER_NS, fill, store, write
from trickleweb.files import (
    BackgroundHasher,
    DigestIndex,
    FileStore,
    Hasher,
    HashPending,
    StoreLimits,
    digests,
    disk,
)
from trickleweb.files.digests import DIGEST_BYTES, Hashes, content_name, digest_of
from trickleweb.files.hashing import HashJob, is_settled
from trickleweb.files.snapshots import is_snapshot
from trickleweb.files.stamps import FileStamp
from trickleweb.files.warm import Progress, warm

DATA = b"0123456789" * 300_000
STAMP = FileStamp(2**64 - 1, 2**64 - 1, 2**63 - 1, 1, 2)
BLOCK_HASH = bytes(range(32))
KNOWN = Hashes(BLOCK_HASH[:DIGEST_BYTES], BLOCK_HASH)
OTHER = Hashes(BLOCK_HASH[::-1][:DIGEST_BYTES], BLOCK_HASH[::-1])
TINY = StoreLimits(small_bytes=0)


class Counting:
    """An index that counts what it is asked and told."""

    def __init__(self) -> None:
        self.known: dict[FileStamp, Hashes] = {}
        self.blocks: dict[tuple[FileStamp, int], bytes] = {}
        self.asked = self.told = 0

    def get(self, stamp: FileStamp) -> Hashes | None:
        self.asked += 1
        return self.known.get(stamp)

    def put(self, stamp: FileStamp, hashes: Hashes) -> None:
        self.told += 1
        self.known[stamp] = hashes

    def get_block(self, stamp: FileStamp, number: int) -> bytes | None:
        return self.blocks.get((stamp, number))

    def put_block(self, stamp: FileStamp, number: int, digest: bytes) -> None:
        self.blocks[stamp, number] = digest


def look(files: FileStore, path: str) -> str:
    found = files.look(path)
    return getattr(found, "content", "a folder")


@pytest.mark.parametrize(
    ("changed_ns", "age_ns", "settled"),
    [
        (10**9 + 1, 0, False),
        (10**9 + 1, 49_999_999, False),
        (10**9 + 1, 50_000_000, True),
        (10**9 + 1, -49_999_999, False),
        (10**9 + 1, -50_000_000, True),
        (10**9, 50_000_000, False),
        (10**9, 1_999_999_999, False),
        (10**9, 2_000_000_000, True),
    ],
)
def test_a_file_settles_when_its_clock_has_ticked(changed_ns: int, age_ns: int, settled: bool) -> None:
    assert is_settled(FileStamp(1, 1, 1, 1, changed_ns), changed_ns + age_ns) is settled


def test_each_version_is_hashed_once_by_all_replicas(tmp_path: Path) -> None:
    write(tmp_path / "a", DATA)
    index = Counting()
    replicas = [store(tmp_path, limits=TINY, index=index) for _ in range(3)]
    assert len({look(files, "a") for files in replicas}) == 1
    assert index.told == 1
    replicas[0].drop_caches()
    look(replicas[0], "a")
    write(tmp_path / "a", DATA[1:])
    assert len({look(files, "a") for files in replicas}) == 1
    assert index.told == 2
    for files in replicas:
        files.close()


def test_small_files_need_no_index(tmp_path: Path) -> None:
    write(tmp_path / "a", b"small")
    index = Counting()
    look(store(tmp_path, index=index), "a")
    assert index.asked == index.told == 0


def test_a_large_file_is_deferred_once_and_known_when_done(tmp_path: Path) -> None:
    write(tmp_path / "a", DATA)
    jobs: list[HashJob] = []
    steps: list[tuple[int, int]] = []
    files = store(tmp_path, defer=jobs.append, inline_bytes=1000)
    for _ in range(3):
        assert is_snapshot(look(files, "a"))
    assert len(jobs) == 1
    jobs[0].run(lambda done, total: steps.append((done, total)))
    assert look(files, "a") == content_name(digest_of(DATA), "a")
    assert len(jobs) == 1
    assert [done for done, _ in steps] == [1 << 20, 2 << 20, len(DATA)]
    files.close()


def test_a_cancelled_job_is_deferred_again(tmp_path: Path) -> None:
    write(tmp_path / "a", DATA)
    jobs: list[HashJob] = []
    files = store(tmp_path, defer=jobs.append, inline_bytes=1000)
    for _ in range(2):
        look(files, "a")
        jobs[-1].cancel()
    assert len(jobs) == 2
    files.close()


def test_files_up_to_a_bound_are_hashed_in_place(tmp_path: Path) -> None:
    write(tmp_path / "a", b"x" * 1000)
    files = store(tmp_path, limits=TINY, defer=lambda _: pytest.fail("deferred"), inline_bytes=1000)
    assert look(files, "a").endswith(":a")
    files.close()


def test_nothing_is_learnt_of_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    write(tmp_path / "a", DATA)
    index = Counting()
    hasher = Hasher(lambda: LATER_NS, index)
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    stamp = disk.stamp_of(descriptor)

    def meanwhile(_done: int, _total: int) -> None:
        write(tmp_path / "a", b"z" * len(DATA))

    with pytest.raises(HashPending):
        hasher.compute(descriptor, stamp, meanwhile)
    assert index.told == 0
    disk.close(descriptor)


def blocked(folder: Path, count: int) -> tuple[bytes, int, FileStamp]:
    """A file of that many blocks and a little more, open, and its stamp."""
    data = b"".join(bytes((number,)) * digests.BLOCK_BYTES for number in range(count)) + b"more"
    descriptor = os.open(write(folder / "a", data), os.O_RDONLY)
    return data, descriptor, disk.stamp_of(descriptor)


class Killed(Exception):
    """What ends a process in mid-work."""


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "BLOCK_BYTES", 1000)


@pytest.mark.usefixtures("small_blocks")
def test_what_a_dead_process_has_hashed_is_not_hashed_again(tmp_path: Path) -> None:
    data, descriptor, stamp = blocked(tmp_path, 9)
    index, done = Counting(), list[int]()

    def until_killed(step: int, _total: int) -> None:
        done.append(step)
        if len(done) == 6:
            raise Killed

    with pytest.raises(Killed):
        Hasher(lambda: LATER_NS, index).compute(descriptor, stamp, until_killed)
    assert len(index.blocks) == 5
    assert index.told == 0
    done.clear()
    hashes = Hasher(lambda: LATER_NS, index).compute(descriptor, stamp, lambda step, _: done.append(step))
    assert hashes.digest == digest_of(data)
    assert hashes == index.known[stamp]
    assert len(done) == 5
    disk.close(descriptor)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_of_another_version_do_not_count(tmp_path: Path) -> None:
    data, descriptor, stamp = blocked(tmp_path, 3)
    index = Counting()
    index.blocks = {(stamp._replace(changed_ns=7), number): b"x" * 32 for number in range(4)}
    assert Hasher(lambda: LATER_NS, index).compute(descriptor, stamp).digest == digest_of(data)
    disk.close(descriptor)


@pytest.mark.usefixtures("small_blocks")
def test_a_file_that_shrinks_while_it_is_hashed_is_not_known(tmp_path: Path) -> None:
    _, descriptor, stamp = blocked(tmp_path, 3)
    os.truncate(tmp_path / "a", 10)
    with pytest.raises(HashPending):
        Hasher(lambda: LATER_NS, Counting()).compute(descriptor, stamp)
    disk.close(descriptor)


@pytest.mark.usefixtures("small_blocks")
def test_every_byte_and_its_place_counts() -> None:
    data = bytes(at % 251 for at in range(2000))
    others = [data[:-1], data + b"x", data[1000:] + data[:1000], data[:1000], data[:500] + b"y" + data[501:]]
    joined = b"".join(sha256(data[at : at + 1000]).digest() for at in (0, 1000))
    assert len({digest_of(each) for each in (data, *others, joined)}) == 7
    assert digest_of(data[:1000]) == sha256(data[:1000]).digest()[:DIGEST_BYTES]
    assert digest_of(b"") == sha256().digest()[:DIGEST_BYTES]


def test_a_transfer_goes_on_when_its_file_is_unlinked_and_costs_no_hash(tmp_path: Path) -> None:
    file = write(tmp_path / "a", DATA)
    jobs: list[HashJob] = []
    files = store(tmp_path, limits=TINY, defer=jobs.append, inline_bytes=1000)
    look(files, "a")
    jobs.pop().run()
    content = look(files, "a")
    file.unlink()
    assert bytes(files.read(content, 0, 10)) == DATA[:10]
    assert not jobs
    files.close()


def test_a_thread_does_it(tmp_path: Path) -> None:
    write(tmp_path / "a", DATA)
    begun, finished = Event(), Event()

    def progress(done: int, total: int) -> None:
        begun.set()
        if done == total:
            finished.set()

    thread = BackgroundHasher(progress)
    files = store(tmp_path, defer=thread.submit, inline_bytes=0)
    assert is_snapshot(look(files, "a"))
    assert begun.wait(30)
    assert finished.wait(30)
    thread.close()
    assert look(files, "a") == content_name(digest_of(DATA), "a")
    files.close()


def test_a_thread_outlives_files_that_vanish_and_takes_only_so_many(tmp_path: Path) -> None:
    fill(tmp_path, {str(at): DATA[: 70_000 + at] for at in range(100)})
    gate = Event()

    def wait(_done: int, _total: int) -> None:
        assert gate.wait(30)

    thread = BackgroundHasher(wait)
    files = store(tmp_path, defer=thread.submit, inline_bytes=0)
    for at in range(100):
        assert is_snapshot(look(files, str(at)))
    for at in range(50):
        write(tmp_path / str(at), b"another")
    gate.set()
    thread.close()
    known = 0
    for at in range(50, 100):
        known += not is_snapshot(look(files, str(at)))
    assert 0 < known < 50
    files.close()


def test_the_index_outlives_processes_and_is_shared(tmp_path: Path) -> None:
    one, other = DigestIndex(tmp_path / "index"), DigestIndex(tmp_path / "index")
    assert one.get(STAMP) is None
    one.put(STAMP, KNOWN)
    assert other.get(STAMP) == KNOWN
    one.close()
    other.close()
    third = DigestIndex(tmp_path / "index")
    assert third.get(STAMP) == KNOWN
    assert (tmp_path / "index").stat().st_mode & 0o777 == 0o600
    third.close()


@pytest.mark.parametrize("field", ["device", "inode", "size_bytes", "modified_ns", "changed_ns"])
def test_every_part_of_the_stamp_counts(tmp_path: Path, field: str) -> None:
    index = DigestIndex(tmp_path / "index")
    index.put(STAMP, KNOWN)
    assert index.get(FileStamp(**{**STAMP._asdict(), field: 7})) is None
    index.put(STAMP._replace(size_bytes=8), OTHER)
    assert index.get(STAMP) is None
    index.close()


@pytest.mark.parametrize(
    "spoilt", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 4096], ids=["", "text", "cut"]
)
def test_a_spoilt_index_is_made_anew(tmp_path: Path, spoilt: bytes) -> None:
    (tmp_path / "index").write_bytes(spoilt)
    index = DigestIndex(tmp_path / "index")
    index.put(STAMP, KNOWN)
    assert index.get(STAMP) == KNOWN
    index.close()


def test_blocks_are_kept_until_their_file_is_known(tmp_path: Path) -> None:
    one, other = DigestIndex(tmp_path / "index"), DigestIndex(tmp_path / "index")
    one.put_block(STAMP, 0, b"a" * 32)
    one.put_block(STAMP, 1, b"b" * 32)
    one.put_block(STAMP, 2, b"too short")
    assert [other.get_block(STAMP, number) for number in range(4)] == [b"a" * 32, b"b" * 32, None, None]
    assert other.get_block(STAMP._replace(modified_ns=9), 0) is None
    assert other.get(STAMP) is None
    other.put(STAMP, KNOWN)
    assert one.get_block(STAMP, 0) is None
    one.close()
    other.close()


def test_an_index_that_cannot_be_written_knows_nothing(tmp_path: Path) -> None:
    index = DigestIndex(tmp_path / "absent" / "index")
    index.put(STAMP, KNOWN)
    assert index.get(STAMP) is None
    index.close()


def test_a_locked_or_closed_index_knows_nothing(tmp_path: Path) -> None:
    index = DigestIndex(tmp_path / "index")
    with_lock = sqlite3.connect(tmp_path / "index", isolation_level=None)
    with_lock.execute("BEGIN EXCLUSIVE")
    index.put(STAMP, KNOWN)
    with_lock.execute("ROLLBACK")
    with_lock.close()
    assert index.get(STAMP) is None
    index.put(STAMP, KNOWN)
    index.close()
    assert index.get(STAMP) is None


def test_an_index_that_others_hold_locked_is_not_thrown_away(tmp_path: Path) -> None:
    one = DigestIndex(tmp_path / "index")
    one.put(STAMP, KNOWN)
    with_lock = sqlite3.connect(tmp_path / "index", isolation_level=None)
    with_lock.execute("PRAGMA locking_mode = EXCLUSIVE")
    one.close()
    with_lock.execute("BEGIN EXCLUSIVE")
    late = DigestIndex(tmp_path / "index", patience_seconds=0.01)
    assert late.get(STAMP) is None
    late.close()
    with_lock.execute("ROLLBACK")
    with_lock.close()
    again = DigestIndex(tmp_path / "index")
    assert again.get(STAMP) == KNOWN
    again.close()


def test_forged_rows_are_no_digests(tmp_path: Path) -> None:
    index = DigestIndex(tmp_path / "index")
    for wrong in (b"short", b"x" * 21, "text", None, 7):
        for forged in (
            KNOWN._replace(digest=wrong),  # type: ignore[arg-type]
            KNOWN._replace(blocks=wrong),  # type: ignore[arg-type]
            OTHER._replace(digest=KNOWN.digest),
        ):
            index.put(STAMP, forged)
            assert index.get(STAMP) is None
    index.close()


def test_a_tree_is_hashed_ahead_in_steps(tmp_path: Path) -> None:
    fill(tmp_path, {"a": b"1" * 10, "b/c": b"2" * 2000, ".git/x": b"3" * 2000, ".well-known/y": b"4" * 3000})
    (tmp_path / "out").symlink_to("/etc/hostname")
    index = Counting()
    steps = list(warm(tmp_path, Hasher(lambda: LATER_NS, index).hashes, above_bytes=1000))
    assert steps == [Progress("a", 1, 10), Progress(".well-known/y", 2, 3010), Progress("b/c", 3, 5010)]
    assert sorted(each.digest for each in index.known.values()) == sorted(map(digest_of, (b"2" * 2000, b"4" * 3000)))
    files = store(tmp_path, limits=TINY, index=index)
    look(files, "b/c")
    assert index.told == 2
    files.close()
