"""Large files are sent before they are hashed, and never as a mix of two versions, whatever happens to them."""

import errno
import os
from collections.abc import Callable, Iterator
from mmap import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import binary, booleans, text

from tests.support.file_replicas import (
    DATA,
    Replica,
    Writer,
    changed_when_modified,
    dated,
    written_and_dated_back,
    written_over,
)
from tests.support.origins import begun, event, fields, get, origin, output
from tests.support.site_folder import replace
from trickles.service import Refusal
from trickleweb.files import ContentNotHere, HashPending, disk
from trickleweb.files import store as stores
from trickleweb.files.digests import content_name, digest_of
from trickleweb.files.errors import BadContentName, FilesUnavailable
from trickleweb.files.restless import PATIENCE_NS
from trickleweb.files.snapshots import Match, is_snapshot, match, parse_snapshot, snapshot_of
from trickleweb.files.stamps import FileStamp, same_bytes

STAMP = FileStamp(1, 2, 20_000, 10**18 + 1, 10**18 + 1, (0o644, 1, 0, 0))
BOOT = b"a boot"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return dated(tmp_path / "a")


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


def _no_descriptor(descriptor: int) -> int:
    raise FilesUnavailable("no descriptor", errno.EMFILE)


def is_lost(replica: Replica, content: str) -> bool:
    try:
        replica.read(content)
    except ContentNotHere:
        return True
    return False


# names


@given(text(), booleans())
def test_a_name_is_read_as_it_was_written(path: str, growing: bool) -> None:
    snapshot = snapshot_of(STAMP, lambda start, stop: DATA[start:stop], BOOT, growing=growing)
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
        (STAMP._replace(size_bytes=20_001, modified_ns=5, changed_ns=5), False, Match.OTHER),
        (STAMP._replace(size_bytes=20_001), True, Match.OTHER),
        (STAMP._replace(size_bytes=19_999), True, Match.OTHER),
        (STAMP._replace(inode=3), True, Match.OTHER),
        (STAMP._replace(device=3), True, Match.OTHER),
        (STAMP._replace(inode=3, size_bytes=20_001), False, Match.OTHER),
    ],
)
def test_which_state_of_a_file_is_still_the_one_begun(now: FileStamp, held: bool, matched: Match) -> None:
    snapshot = snapshot_of(STAMP, lambda start, stop: DATA[start:stop], BOOT, growing=False)
    assert match(snapshot, now, BOOT, held=held) is matched
    assert match(snapshot, now, b"another boot", held=held) is Match.OTHER
    if matched is Match.SAME:
        assert same_bytes(STAMP, now, held=held)


def test_only_what_was_growing_may_be_longer() -> None:
    snapshot = snapshot_of(STAMP, lambda start, stop: DATA[start:stop], BOOT, growing=True)
    longer = STAMP._replace(size_bytes=20_001, modified_ns=5, changed_ns=5)
    assert match(snapshot, longer, BOOT, held=False) is Match.GROWN
    assert match(snapshot, longer._replace(size_bytes=20_000), BOOT, held=True) is Match.OTHER
    assert match(snapshot, longer._replace(inode=3), BOOT, held=True) is Match.OTHER


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


def written_anew(file: Path) -> None:
    file.write_bytes(DATA[::-1])


def truncated_and_grown(file: Path) -> None:
    file.write_bytes(DATA[::-1] * 2)


def cut(file: Path) -> None:
    os.truncate(file, 19_999)


def appended(file: Path) -> None:
    with file.open("ab") as out:
        out.write(b"a line\n")


def written_over_and_longer(file: Path) -> None:
    """As a database or `rsync --inplace` does: the middle, then the end."""
    written_over(file)
    appended(file)


def touched(file: Path) -> None:
    os.utime(file)


def cut_and_restored(file: Path) -> None:
    """The same length again, with zeros where bytes were."""
    os.truncate(file, 10_000)
    os.truncate(file, 20_000)


def mapped(file: Path) -> None:
    """Written through a memory map that is flushed."""
    with file.open("r+b") as out, mmap(out.fileno(), 0) as memory:
        memory[10_000:10_011] = b"other bytes"
        memory.flush()


CHANGES = [
    *(written_over, written_and_dated_back, written_anew, truncated_and_grown, cut),
    *(appended, written_over_and_longer, touched, cut_and_restored, mapped),
]


@pytest.mark.parametrize("change", CHANGES)
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


def test_a_file_that_is_renamed_is_read_on_where_it_is_open(file: Path, one: Replica, other: Replica) -> None:
    content = one.look().content
    file.rename(file.parent / "b")
    assert one.read(content) == DATA
    assert is_lost(other, content)
    (file.parent / "b").rename(file)
    assert one.read(content) == DATA


def growing(writer: Writer, *replicas: Replica) -> str:
    """The name of the file's content on all of these, found while it grew."""
    for _ in range(2):
        for each in replicas:
            with pytest.raises(HashPending):
                each.look()
        writer.append()
    (content,) = {each.look().content for each in replicas}
    return content


@pytest.fixture(name="writer")
def _writer(file: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    changed_when_modified(monkeypatch)
    writer = Writer(file)
    writer.append()
    return writer


@pytest.fixture(name="pair")
def _pair(file: Path, writer: Writer) -> Iterator[tuple[Replica, Replica]]:
    """Two processes of a machine."""
    one, other = (Replica(file.parent, writer.clock) for _ in range(2))
    yield one, other
    one.files.close()
    other.files.close()


def test_a_file_that_goes_on_growing_is_what_it_was(file: Path, writer: Writer, pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    content = growing(writer, one, other)
    size = file.stat().st_size
    for replica in (one, other, one):
        writer.append()
        replica.files.drop_caches()
        assert replica.read(content) == DATA
        with pytest.raises(ContentNotHere):
            replica.files.read(content, size, size + 1)


@pytest.mark.parametrize("change", [written_over, written_anew, truncated_and_grown, cut])
def test_nor_is_one_that_grew_gone_on_with_when_it_was_written_otherwise(
    file: Path, writer: Writer, pair: tuple[Replica, Replica], change: Callable[[Path], None]
) -> None:
    one, other = pair
    content = growing(writer, one, other)
    assert one.read(content) == other.read(content) == DATA
    writer.now += PATIENCE_NS
    change(file)
    assert is_lost(one, content)
    assert is_lost(other, content)


# hashed meanwhile


def test_a_hash_gives_the_strong_name(one: Replica, other: Replica) -> None:
    content = one.look().content
    assert one.files.strong_name(content) is None
    one.hash()
    assert one.files.strong_name(content) == content_name(digest_of(DATA), "a")
    assert one.look().digest == digest_of(DATA)
    assert other.files.strong_name(content) is None  # it does not know the file


def test_a_strong_name_is_that_of_the_file_which_is_open_whatever_lies_at_its_path(file: Path, one: Replica) -> None:
    content = one.look().content
    replace(file, DATA[::-1], 10**9)
    assert one.read(content) == DATA
    one.hash()
    strong = one.files.strong_name(content)
    assert strong is not None
    assert one.read(strong) == DATA
    assert one.look().content != strong


def test_without_a_descriptor_there_is_no_strong_name_yet(one: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    content = one.look().content
    one.hash()
    with monkeypatch.context() as shortage:
        shortage.setattr(disk, "duplicate", _no_descriptor)
        assert one.files.strong_name(content) is None
    assert one.files.strong_name(content) is not None


def test_a_file_that_grew_has_no_strong_name(file: Path, one: Replica) -> None:
    content = one.look().content
    appended(file)
    assert is_lost(one, content)
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
