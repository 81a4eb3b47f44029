"""Large files are sent before they are hashed, and never as a mix of two versions, whatever happens to them."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import binary, text

from tests.support.origins import begun, event, fields, get, origin, output
from tests.support.site_folder import LATER_NS, body, replace, request, store
from trickles.service import Refusal
from trickleweb.errors import HTTPError
from trickleweb.files import (
    ContentNotHere,
    FileStore,
    HashPending,
    SiteOptions,
    StaticSite,
    StoreLimits,
    digests,
    disk,
)
from trickleweb.files import (
    store as stores,
)
from trickleweb.files.contents import content_name, strong_etag
from trickleweb.files.digests import digest_of
from trickleweb.files.errors import BadContentName
from trickleweb.files.hashing import HashJob
from trickleweb.files.restless import PATIENCE_NS
from trickleweb.files.snapshots import Match, is_snapshot, match, parse_snapshot, snapshot_of
from trickleweb.files.stamps import Stamp, same_bytes
from trickleweb.files.store import Version

TINY = StoreLimits(small_bytes=0)
DATA = bytes(at * 7 % 251 for at in range(20_000))
STAMP = Stamp(1, 2, 20_000, 10**18 + 1, 10**18 + 1, (0o644, 1, 0, 0))
BOOT = b"a boot"


class Replica:
    """A store over a folder that leaves hashes to `jobs`, with a clock of its own."""

    def __init__(self, root: Path, now_ns: Callable[[], int] = lambda: LATER_NS) -> None:
        self.jobs: list[HashJob] = []
        self.files = store(root, limits=TINY, clock_ns=now_ns, defer=self.jobs.append, inline_bytes=0)

    def look(self, path: str = "a") -> Version:
        found = self.files.look(path)
        assert isinstance(found, Version)
        return found

    def hash(self) -> None:
        while self.jobs:
            with suppress(HashPending):  # changed since
                self.jobs.pop().run()

    def read(self, content: str, start: int = 0, stop: int = len(DATA)) -> bytes:
        return bytes(self.files.read(content, start, stop))


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """A file as a kernel dates it: its time has nanoseconds."""
    file = tmp_path / "a"
    file.write_bytes(DATA)
    os.utime(file, ns=(10**18 + 1, 10**18 + 1))
    return file


@pytest.fixture(name="one")
def _one(file: Path) -> Iterator[Replica]:
    replica = Replica(file.parent)
    yield replica
    replica.files.close()


@pytest.fixture(name="other")
def _other(file: Path) -> Iterator[Replica]:
    """Another process of the same machine."""
    replica = Replica(file.parent)
    yield replica
    replica.files.close()


def is_lost(replica: Replica, content: str) -> bool:
    try:
        replica.read(content)
    except ContentNotHere:
        return True
    return False


# names


@given(text())
def test_a_name_is_read_as_it_was_written(path: str) -> None:
    snapshot = snapshot_of(STAMP, lambda start, stop: DATA[start:stop], BOOT)
    name = snapshot.name(path)
    assert is_snapshot(name)
    assert parse_snapshot(name) == (snapshot, path)
    assert not is_snapshot(content_name(digest_of(DATA), path))


@given(binary() | text())
def test_other_text_names_nothing(noise: bytes | str) -> None:
    text = noise.decode("latin-1") if isinstance(noise, bytes) else noise
    for name in (text, "~" + text, f"~{text}:a", "~" + text.ljust(64, "A")[:64] + ":a"):
        try:
            snapshot, path = parse_snapshot(name)
        except BadContentName:
            continue
        assert len(snapshot.name(path)) == len(name)


@pytest.mark.parametrize(
    ("now", "held", "matched"),
    [
        (STAMP, False, Match.SAME),
        (STAMP._replace(changed_ns=5), False, Match.OTHER),
        (STAMP._replace(changed_ns=5), True, Match.OTHER),
        (STAMP._replace(changed_ns=5, metadata=(0o600, 1, 0, 0)), False, Match.SAME),
        (STAMP._replace(modified_ns=5, metadata=(0o600, 1, 0, 0)), True, Match.OTHER),
        (STAMP._replace(modified_ns=5), True, Match.OTHER),
        (STAMP._replace(size_bytes=20_001, modified_ns=5, changed_ns=5), False, Match.GROWN),
        (STAMP._replace(size_bytes=19_999), True, Match.OTHER),
        (STAMP._replace(inode=3), True, Match.OTHER),
        (STAMP._replace(device=3), True, Match.OTHER),
        (STAMP._replace(inode=3, size_bytes=20_001), False, Match.OTHER),
    ],
)
def test_which_state_of_a_file_is_still_the_one_begun(now: Stamp, held: bool, matched: Match) -> None:
    snapshot = snapshot_of(STAMP, lambda start, stop: DATA[start:stop], BOOT)
    assert match(snapshot, now, BOOT, held=held) is matched
    assert match(snapshot, now, b"another boot", held=held) is Match.OTHER
    if matched is Match.SAME:
        assert same_bytes(STAMP, now, held=held)


# begun on one replica, gone on with on another


def test_what_one_replica_began_another_of_the_machine_goes_on_with(one: Replica, other: Replica) -> None:
    content = one.look().content
    assert is_snapshot(content)
    assert one.read(content, 0, 100) + other.read(content, 100) == DATA
    other.files.drop_caches()
    assert other.read(content, 19_000) == DATA[19_000:]


def test_another_machine_has_other_files(one: Replica, other: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    content = one.look().content
    monkeypatch.setattr(stores, "this_boot", lambda: b"another")
    assert is_lost(other, content)


def written_over(file: Path) -> None:
    with file.open("r+b") as out:
        out.seek(10_000)
        out.write(b"other bytes")


def written_and_dated_back(file: Path) -> None:
    written_over(file)
    os.utime(file, ns=(10**18 + 1, 10**18 + 1))


def written_anew(file: Path) -> None:
    file.write_bytes(DATA[::-1])


def truncated_and_grown(file: Path) -> None:
    file.write_bytes(DATA[::-1] * 2)


def cut(file: Path) -> None:
    os.truncate(file, 19_999)


@pytest.mark.parametrize("change", [written_over, written_and_dated_back, written_anew, truncated_and_grown, cut])
def test_no_replica_goes_on_with_another_version(
    file: Path, one: Replica, other: Replica, change: Callable[[Path], None]
) -> None:
    content = one.look().content
    assert one.read(content, 0, 5) == DATA[:5]
    change(file)
    assert is_lost(one, content)
    assert is_lost(other, content)
    assert is_lost(one, content)


def test_nor_with_another_file_at_its_path(file: Path, one: Replica, other: Replica) -> None:
    content = one.look().content
    replace(file, DATA[::-1], 10**9)
    assert one.read(content) == DATA  # it is open there
    assert is_lost(other, content)


@pytest.mark.parametrize("change", [lambda file: file.chmod(0o600), lambda file: (file.parent / "b").hardlink_to(file)])
def test_modes_and_links_stop_nothing(file: Path, one: Replica, other: Replica, change: Callable[[Path], None]) -> None:
    content = one.look().content
    change(file)
    assert one.read(content) == other.read(content) == DATA
    assert len(one.jobs) == 1
    assert not other.jobs


def test_a_file_that_grows_is_what_it_was(file: Path, one: Replica, other: Replica) -> None:
    content = one.look().content
    for replica in (one, other, one):
        with file.open("ab") as out:
            out.write(b"a line\n")
        assert replica.read(content) == DATA
        with pytest.raises(ContentNotHere):
            replica.files.read(content, len(DATA), len(DATA) + 1)


# hashed meanwhile


def test_a_hash_gives_the_strong_name(one: Replica, other: Replica) -> None:
    content = one.look().content
    assert one.files.strong_name(content) is None
    one.hash()
    assert one.files.strong_name(content) == content_name(digest_of(DATA), "a")
    assert one.look().digest == digest_of(DATA)
    assert other.files.strong_name(content) is None  # it does not know the file


def test_a_file_that_grew_has_no_strong_name(file: Path, one: Replica) -> None:
    content = one.look().content
    with file.open("ab") as out:
        out.write(b"more")
    assert one.read(content) == DATA
    one.look()
    one.hash()
    assert one.files.strong_name(content) is None


def test_who_knows_the_strong_name_waits_for_the_hash(file: Path, one: Replica) -> None:
    strong = content_name(digest_of(DATA), "a")
    with pytest.raises(HashPending):
        one.read(strong)
    one.hash()
    assert one.read(strong) == DATA
    written_anew(file)
    with pytest.raises(HashPending):
        one.read(content_name(digest_of(b"what was never there"), "a"))


def test_a_file_that_cannot_be_hashed_keeps_nobody_waiting(file: Path, one: Replica) -> None:
    strong = content_name(digest_of(DATA), "a")
    with pytest.raises(HashPending):
        one.read(strong)
    job = one.jobs.pop()
    with file.open("ab") as out:
        out.write(b"more")
    with pytest.raises(HashPending):
        job.run()
    assert is_lost(one, strong)
    assert not one.jobs  # it is left alone for a while


def test_the_state_of_a_response_becomes_one_for_every_machine(
    file: Path, one: Replica, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = origin(file.parent, files=one.files)
    response, known = begun(here, get("/a"))
    assert fields(response)["etag"].startswith('W/"')
    assert here.handle(event(b"", known, (0, 10))).continuation is None
    one.hash()
    reply = here.handle(event(b"", known, (0, 10)))
    firm = reply.continuation
    assert firm is not None
    assert firm[1:] == known[1:]
    assert here.handle(event(b"", firm, (0, 10))).continuation is None
    assert output(here.handle(event(b"", firm))) == response
    monkeypatch.setattr(stores, "this_boot", lambda: b"another")
    far = tmp_path_factory.mktemp("far")
    (far / "a").write_bytes(DATA)
    there = Replica(far)
    elsewhere = origin(far, files=there.files)
    assert elsewhere.handle(event(b"", known)).refusal is Refusal.NOT_HERE
    assert elsewhere.handle(event(b"", firm)).refusal is Refusal.BUSY
    there.hash()
    assert output(elsewhere.handle(event(b"", firm))) == response
    there.files.close()


# hashed, and changed afterwards


@pytest.fixture(name="small_blocks")
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "BLOCK_BYTES", 1000)
    monkeypatch.setattr("trickleweb.files.openfiles.BLOCK_BYTES", 1000)


@pytest.mark.usefixtures("small_blocks")
def test_a_hashed_file_that_is_touched_is_read_on_block_by_block(file: Path, one: Replica) -> None:
    one.look()
    one.hash()
    content = one.look().content
    for change in (lambda: os.utime(file, (5, 5)), lambda: file.rename(file.with_name("b"))):
        change()
        assert one.read(content, 1500, 3500) == DATA[1500:3500]
        assert one.read(content) == DATA
    assert not one.jobs


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("settled", [True, False])
def test_a_hashed_file_that_grows_is_read_to_its_end_of_then(file: Path, settled: bool) -> None:
    clock = [LATER_NS]
    replica = Replica(file.parent, lambda: clock[0])
    replica.look()
    replica.hash()
    content = replica.look().content
    with file.open("ab") as out:
        out.write(b"more")
    if not settled:
        clock[0] = file.stat().st_ctime_ns
    assert replica.read(content, 0, 1) == DATA[:1]
    assert replica.read(content) == DATA
    replica.files.close()


@pytest.mark.usefixtures("small_blocks")
def test_a_block_that_was_written_is_never_sent(file: Path, one: Replica) -> None:
    one.look()
    one.hash()
    content = one.look().content
    written_and_dated_back(file)
    assert one.read(content, 0, 9_000) == DATA[:9_000]
    assert one.read(content, 12_000) == DATA[12_000:]
    with pytest.raises(HashPending):  # it might be at its path again
        one.read(content, 9_999, 10_011)
    one.hash()
    with pytest.raises(ContentNotHere):
        one.read(content, 9_999, 10_011)


@pytest.mark.usefixtures("small_blocks")
def test_a_write_after_a_block_was_compared_is_seen(file: Path) -> None:
    """Compared while the file was being written: what was read then is sent, not what the file holds later."""
    clock = [LATER_NS]
    replica = Replica(file.parent, lambda: clock[0])
    replica.look()
    replica.hash()
    content = replica.look().content
    os.utime(file, (5, 5))
    clock[0] = file.stat().st_ctime_ns  # not settled
    assert replica.read(content, 10_000, 10_100) == DATA[10_000:10_100]
    written_and_dated_back(file)
    assert replica.read(content, 10_000, 10_100) == DATA[10_000:10_100]
    clock[0] = LATER_NS
    replica.files.drop_caches()
    with pytest.raises((ContentNotHere, HashPending)):
        replica.read(content, 10_000, 10_100)
    replica.files.close()


# being written


class Writer:
    """Writes to a file, and moves the clock on to the moment of the write."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now = file.stat().st_ctime_ns

    def clock(self) -> int:
        return self.now

    def append(self) -> None:
        with self.file.open("ab") as out:
            out.write(b"a line\n")
        self._date()

    def overwrite(self) -> None:
        written_over(self.file)
        self._date()

    def _date(self) -> None:
        self.now += PATIENCE_NS // 2
        os.utime(self.file, ns=(self.now, self.now))


@pytest.fixture(name="writer")
def _writer(file: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """The file's change time follows its modification time: the kernel's own clock cannot be moved."""
    writer = Writer(file)
    look_at = disk.look_at

    def dated(path: str | int, folder: int | None = None) -> tuple[Stamp, bool]:
        stamp, is_folder = look_at(path, folder)
        return stamp._replace(changed_ns=stamp.modified_ns), is_folder

    monkeypatch.setattr(disk, "look_at", dated)
    return writer


def test_a_file_that_grows_all_the_time_is_served_as_far_as_it_has_come(file: Path, writer: Writer) -> None:
    replica = Replica(file.parent, writer.clock)
    folder = StaticSite(replica.files)
    writer.append()
    for _ in range(2):
        with pytest.raises(HashPending):
            folder.plan(request("/a"))
        writer.append()
    for _ in range(3):
        plan = folder.plan(request("/a"))
        size = file.stat().st_size
        writer.append()
        assert body(replica.files, plan) == file.read_bytes()[:size]
        assert "ETag" not in plan.headers
        assert "Last-Modified" not in plan.headers
    partial = folder.plan(request("/a", ("range", "bytes=-7")))
    assert (partial.status, body(replica.files, partial)) == (206, b"a line\n")
    assert not replica.jobs  # no hash of it would ever be done
    writer.now += 10**9
    assert str(folder.plan(request("/a")).headers.get("ETag")).startswith("W/")
    replica.hash()
    assert folder.plan(request("/a")).headers.get("ETag") == strong_etag(digest_of(file.read_bytes()))
    replica.files.close()


def test_a_file_that_is_written_over_all_the_time_is_refused_in_time(file: Path, writer: Writer) -> None:
    replica = Replica(file.parent, writer.clock)
    folder = StaticSite(replica.files, SiteOptions(fallback="a"))
    writer.overwrite()
    for _ in range(2):
        with pytest.raises(HashPending):
            folder.plan(request("/a"))
        writer.overwrite()
    with pytest.raises(HTTPError) as caught:
        folder.plan(request("/a"))
    assert (caught.value.status, dict(caught.value.headers)) == (503, {"Retry-After": "1"})
    replica.files.close()


def test_a_store_without_a_thread_serves_what_grows_too(file: Path, writer: Writer) -> None:
    files: FileStore = store(file.parent, limits=TINY, clock_ns=writer.clock)
    writer.append()
    found = files.look("a")
    assert isinstance(found, Version)
    assert found.digest == digest_of(file.read_bytes())
    files.close()
