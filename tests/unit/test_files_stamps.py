"""Stamps: every number a file system may give is bounded, and metadata is told from writes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import integers, tuples

from tests.support.site_folder import LATER_NS, body, request, store, write
from trickleweb.files import DigestIndex, StaticSite, disk
from trickleweb.files.digests import Hashes, digest_of
from trickleweb.files.disk import FIRST_SECOND, LAST_SECOND, stamp_from
from trickleweb.files.hashing import Hasher
from trickleweb.files.listing import Entry, Order, Page, as_html, as_json
from trickleweb.files.stamps import FileStamp, same_bytes, stamp_of_state

ANY = integers(-(2**100), 2**100)
NATURAL = FileStamp(1, 2, 3, 1_000_000_000_000_000_001, 1_000_000_000_000_000_001, (0o644, 1, 0, 0))
WHOLE = NATURAL._replace(modified_ns=10**18)


@given(ANY, ANY, ANY, ANY, ANY, tuples(ANY, ANY, ANY, ANY))
def test_whatever_a_file_system_says_fits(
    device: int, inode: int, size: int, modified: int, changed: int, metadata: tuple[int, int, int, int]
) -> None:
    stamp = stamp_from(device, inode, size, modified, changed, metadata)
    assert stamp_of_state(stamp.device, stamp.inode, stamp.state()) == stamp
    assert 0 <= stamp.size_bytes < 2**63
    assert FIRST_SECOND <= stamp.modified_s <= LAST_SECOND
    entry = Entry("a", False, stamp.size_bytes, stamp.modified_s)
    assert as_html("/", [entry], Order(), Page())
    assert as_json("/", [entry], Order(), Page())
    assert stamp_from(*stamp) == stamp


@pytest.mark.slow
@given(ANY, ANY)
def test_the_index_holds_every_time(tmp_path_factory: pytest.TempPathFactory, modified: int, changed: int) -> None:
    stamp = stamp_from(2**64 - 1, 2**64 - 1, 2**63, modified, changed, (2**32 - 1, 2**64 - 1, 2**32 - 1, 2**32 - 1))
    index = DigestIndex(tmp_path_factory.mktemp("index") / "digests")
    known = Hashes(bytes(20), bytes(32))
    index.put(stamp, known)
    index.put_block(stamp, 2**40, bytes(32))
    assert index.get(stamp) == known
    assert index.get_block(stamp, 2**40) == bytes(32)
    index.close()


@pytest.mark.parametrize("state", [b"", b"x", NATURAL.state()[:-1], NATURAL.state() + b"x"])
def test_other_bytes_are_no_state(state: bytes) -> None:
    assert stamp_of_state(1, 2, state) is None


CHMOD = (0o600, 1, 0, 0)
LINKED = (0o644, 2, 0, 0)
CHOWN = (0o644, 1, 5, 0)


@pytest.mark.parametrize("metadata", [CHMOD, LINKED, CHOWN, (0o644, 0, 0, 0)])
def test_what_explains_the_change_time_costs_nothing(metadata: tuple[int, int, int, int]) -> None:
    later = NATURAL._replace(changed_ns=NATURAL.changed_ns + 1, metadata=metadata)
    assert same_bytes(NATURAL, later)
    assert same_bytes(NATURAL, later, held=True)
    whole = WHOLE._replace(changed_ns=NATURAL.changed_ns + 1, metadata=metadata)
    assert not same_bytes(WHOLE, whole)  # a time that many versions may have, and an inode that may be another's
    assert same_bytes(WHOLE, whole, held=True)


@pytest.mark.parametrize("held", [False, True])
def test_a_change_time_that_nothing_explains_counts(held: bool) -> None:
    assert not same_bytes(NATURAL, NATURAL._replace(changed_ns=NATURAL.changed_ns + 1), held=held)


@pytest.mark.parametrize("field", ["device", "inode", "size_bytes", "modified_ns"])
@pytest.mark.parametrize("held", [False, True])
def test_no_metadata_explains_another_file_size_or_time(field: str, held: bool) -> None:
    other = FileStamp(**{**NATURAL._asdict(), field: 7})._replace(metadata=CHMOD, changed_ns=9)
    assert not same_bytes(NATURAL, other, held=held)


@pytest.mark.parametrize("seconds", [-(2**40), -1, 0, 9_999_999_999, 2**33, 2**37, 2**40, 2**62])
def test_a_file_of_any_date_is_served_and_hashed(tmp_path: Path, seconds: int) -> None:
    """Whatever date this file system can store; beyond 2262 nanoseconds do not fit 64 bits."""
    data = b"x" * 200_000
    file = write(tmp_path / "a", data)
    try:
        os.utime(file, (seconds, seconds))
    except OverflowError:
        os.utime(file, (2**33, 2**33))
    index = DigestIndex(tmp_path / ".index")
    files = store(tmp_path, index=index)
    plan = StaticSite(files).plan(request("/a"))
    assert body(files, plan) == data
    assert index.get(disk.stamp_of(str(file))) is not None
    again = Hasher(lambda: LATER_NS, index)
    assert (known := again.recall(disk.stamp_of(str(file)))) is not None
    assert known.digest == digest_of(data)
    files.close()
    index.close()


def test_links_modes_and_copies_of_a_tree_cost_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "root" / "a"
    file.parent.mkdir()
    file.write_bytes(b"x" * 200_000)
    os.utime(file, ns=(LATER_NS // 2 + 1, LATER_NS // 2 + 1))
    index = DigestIndex(tmp_path / "index")
    first = store(tmp_path / "root", index=index)
    tag = StaticSite(first).plan(request("/a")).headers.get("ETag")
    monkeypatch.setattr(Hasher, "compute", lambda *_: pytest.fail("hashed"))
    copy = tmp_path / "copy"
    changes: tuple[Callable[[], None], ...]
    changes = (lambda: copy.hardlink_to(file), lambda: file.chmod(0o600), copy.unlink)
    for change in changes:
        change()
        for files in (first, store(tmp_path / "root", index=index)):  # one that knew it, and a new process
            assert StaticSite(files).plan(request("/a")).headers.get("ETag") == tag
    first.close()
    index.close()
