"""Large files that change after they were hashed, or all the time: right bytes, a refusal, or what there is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.file_replicas import (
    DATA,
    TINY,
    Replica,
    Writer,
    changed_when_modified,
    dated,
    written_and_dated_back,
)
from tests.support.site_folder import LATER_NS, body, request, store
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere, FileStore, HashPending, SiteOptions, StaticSite, digests
from trickleweb.files.digests import digest_of, strong_etag
from trickleweb.files.store import Version


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return dated(tmp_path / "a")


@pytest.fixture(name="one")
def _one(file: Path) -> Iterator[Replica]:
    replica = Replica(file.parent)
    yield replica
    replica.files.close()


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


@pytest.fixture(name="writer")
def _writer(file: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    changed_when_modified(monkeypatch)
    return Writer(file)


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
