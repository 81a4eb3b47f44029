"""The store never mixes versions, whatever happens to the files below it, and never leaves its root."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace as changed
from pathlib import Path

import pytest

from tests.support.site_folder import LATER_NS, MODIFIED_S, fill, freeze_stamps, refuse, replace, store, write
from trickleweb.files import ContentNotHere, FileStore, HashPending, StoreLimits, beneath, disk
from trickleweb.files.digests import content_name, digest_of
from trickleweb.files.errors import NoSuchFile, Unreadable
from trickleweb.files.folders import entries
from trickleweb.files.store import FoundFolder, Version
from trickleweb.files.tree import Root

TINY = StoreLimits(small_bytes=0)  # every file is read from the disk, as larger ones are
SIZES = pytest.mark.parametrize("limits", [StoreLimits(), TINY], ids=["in memory", "on disk"])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def version(files: FileStore, path: str) -> Version:
    found = files.look(path)
    assert isinstance(found, Version)
    return found


@SIZES
def test_files_are_found_and_read_by_content(tmp_path: Path, limits: StoreLimits) -> None:
    fill(tmp_path, {"a.txt": b"hello", "dir/b.txt": b"world!", "empty": b""})
    files = store(tmp_path, limits=limits)
    assert version(files, "a.txt").content == content_name(digest_of(b"hello"), "a.txt")
    assert bytes(files.read(version(files, "dir/b.txt").content, 2, 5)) == b"rld"
    assert bytes(files.read(version(files, "empty").content, 0, 0)) == b""
    assert files.look("dir") == files.look("") == FoundFolder()
    files.close()


@SIZES
def test_replicas_agree_and_read_each_others_contents(tmp_path: Path, limits: StoreLimits) -> None:
    one, other = (store(fill(tmp_path / name, {"a": b"same"}), limits=limits) for name in ("one", "other"))
    content = version(one, "a").content
    assert version(other, "a").content == content
    assert bytes(other.read(content, 0, 4)) == b"same"
    other.drop_caches()
    assert bytes(other.read(content, 1, 3)) == b"am"
    one.close()
    other.close()


@SIZES
def test_another_version_is_not_here(tmp_path: Path, limits: StoreLimits) -> None:
    one, other = (store(fill(tmp_path / text, {"a": text.encode()}), limits=limits) for text in ("v1", "v2"))
    with pytest.raises(ContentNotHere):
        other.read(version(one, "a").content, 0, 2)
    one.close()
    other.close()


@SIZES
def test_a_replaced_file_can_be_finished_where_it_is_held_and_nowhere_else(tmp_path: Path, limits: StoreLimits) -> None:
    write(tmp_path / "a", b"old version")
    files, other = store(tmp_path, limits=limits), store(tmp_path, limits=limits)
    old = version(files, "a").content
    replace(tmp_path / "a", b"new version")
    assert bytes(files.read(old, 4, 11)) == b"version"
    assert bytes(files.read(version(files, "a").content, 0, 3)) == b"new"
    assert bytes(files.read(old, 0, 3)) == b"old"
    with pytest.raises(ContentNotHere):
        other.read(old, 0, 3)
    files.drop_caches()
    with pytest.raises(ContentNotHere):
        files.read(old, 0, 3)
    files.close()
    other.close()


@SIZES
def test_a_removed_file_too(tmp_path: Path, limits: StoreLimits) -> None:
    file = write(tmp_path / "a", b"old")
    files = store(tmp_path, limits=limits)
    old = version(files, "a").content
    file.unlink()
    assert bytes(files.read(old, 0, 3)) == b"old"
    with pytest.raises(NoSuchFile):
        files.look("a")
    files.drop_caches()
    with pytest.raises(ContentNotHere):
        files.read(old, 0, 3)
    files.close()


@pytest.mark.parametrize(
    "data", [b"new text", b"new", b"much longer than it was"], ids=["same size", "shorter", "longer"]
)
@pytest.mark.parametrize("modified_s", [MODIFIED_S, MODIFIED_S + 1], ids=["date set back", "dated anew"])
def test_a_file_changed_in_place_is_never_read_again(tmp_path: Path, data: bytes, modified_s: int) -> None:
    write(tmp_path / "a", b"old text")
    files = store(tmp_path, limits=TINY)
    old = version(files, "a").content
    assert bytes(files.read(old, 0, 3)) == b"old"
    write(tmp_path / "a", data, modified_s)
    for _ in range(2):
        with pytest.raises(ContentNotHere):
            files.read(old, 3, 8)
    new = version(files, "a").content
    assert new != old
    assert bytes(files.read(new, 0, len(data))) == data
    files.close()


def test_a_small_file_changed_in_place_is_finished_from_memory(tmp_path: Path) -> None:
    write(tmp_path / "a", b"old text")
    files = store(tmp_path)
    old = version(files, "a").content
    write(tmp_path / "a", b"new text")
    assert bytes(files.read(old, 0, 8)) == b"old text"
    assert version(files, "a").content != old
    files.close()


def test_a_file_that_is_only_touched_goes_on(tmp_path: Path) -> None:
    file = write(tmp_path / "a", b"text")
    files = store(tmp_path, limits=TINY)
    content = version(files, "a").content
    write(file, b"text", MODIFIED_S + 5)
    assert bytes(files.read(content, 0, 4)) == b"text"
    assert bytes(files.read(content, 0, 4)) == b"text"
    assert version(files, "a").content == content
    files.close()


def test_a_file_back_at_its_old_version_is_here_again(tmp_path: Path) -> None:
    write(tmp_path / "a", b"one")
    files = store(tmp_path, limits=TINY)
    one = version(files, "a").content
    write(tmp_path / "a", b"two")
    with pytest.raises(ContentNotHere):
        files.read(one, 0, 3)
    write(tmp_path / "a", b"one")
    assert bytes(files.read(one, 0, 3)) == b"one"
    files.close()


@SIZES
def test_no_read_goes_beyond_the_content(tmp_path: Path, limits: StoreLimits) -> None:
    write(tmp_path / "a", b"text")
    files = store(tmp_path, limits=limits)
    content = version(files, "a").content
    for start, stop in ((0, 5), (4, 5), (100, 200)):
        with pytest.raises(ContentNotHere):
            files.read(content, start, stop)
    files.close()


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../secret", ".hidden", "", "dir", "absent", "a\0b"])
def test_a_content_name_opens_nothing_else(tmp_path: Path, path: str) -> None:
    fill(tmp_path, {"secret": b"s", "root/.hidden": b"s", "root/dir/x": b"s"})
    files = store(tmp_path / "root")
    with pytest.raises(ContentNotHere):
        files.read(content_name(digest_of(b"s"), path), 0, 1)
    with pytest.raises(ContentNotHere):
        files.read(path, 0, 1)
    files.close()


def test_links_inside_the_root_are_followed_and_others_refused(tmp_path: Path) -> None:
    fill(tmp_path, {"secret": b"secret", "outside/x": b"x", "root-too/x": b"x", "root/real/a": b"a"})
    root = tmp_path / "root"
    for name, target in {
        "inside": "real/a",
        "folder": "real",
        "file": "../secret",
        "absolute": str(tmp_path / "secret"),
        "out": "../outside",
        "beside": "../root-too",
        "nowhere": "absent",
        "loop": "loop",
        "chain": "out/x",
    }.items():
        (root / name).symlink_to(target)
    files = store(root)
    assert bytes(files.read(version(files, "inside").content, 0, 1)) == b"a"
    assert bytes(files.read(version(files, "folder/a").content, 0, 1)) == b"a"
    for path in ("file", "absolute", "out", "out/x", "beside/x", "nowhere", "loop", "chain"):
        with pytest.raises(NoSuchFile):
            files.look(path)
    tree = Root(root).tree()
    for path in ("out", "beside", "absent"):
        with pytest.raises(NoSuchFile):
            tree.folder(path)
    for detailed in (True, False):
        listed = {(entry.name, entry.is_folder) for entry in entries(tree, 20, detailed=detailed)}
        assert listed == {("inside", False), ("folder", True), ("real", True)}
    files.close()


def test_a_root_that_is_a_link_may_be_pointed_elsewhere(tmp_path: Path) -> None:
    fill(tmp_path, {"v1/a": b"one", "v2/a": b"two"})
    (tmp_path / "current").symlink_to("v1")
    files = store(tmp_path / "current")
    one = version(files, "a").content
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").replace(tmp_path / "current")
    two = version(files, "a").content
    assert bytes(files.read(two, 0, 3)) == b"two"
    assert bytes(files.read(one, 0, 3)) == b"one"
    files.close()


def test_what_is_neither_file_nor_folder_is_not_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "null").symlink_to("/dev/null")
    files = store(tmp_path)
    for path in ("fifo", "null", "absent", "absent/x", "fifo/x", "x" * 300, "x/" * 3000, "\ud800"):
        with pytest.raises(NoSuchFile):
            files.look(path)
    with pytest.raises(NoSuchFile):
        Root(tmp_path).tree().folder("fifo")
    files.close()


def test_what_may_not_be_read_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", b"a")
    files = store(tmp_path)
    refuse(monkeypatch, errno.EACCES)  # root, who may run this, is refused nothing
    with pytest.raises(Unreadable):
        files.look("a")
    files.close()


def without_openat2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "_kernel", None)


def without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "_DESCRIPTORS", "/absent")


def with_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    without_openat2(monkeypatch)
    without_proc(monkeypatch)


def refused_by_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: int, path: str, _flags: int) -> int:
        raise OSError(errno.EPERM, "seccomp", path)

    monkeypatch.setattr(beneath, "_kernel", refuse)


@pytest.mark.parametrize("system", [without_openat2, without_proc, with_neither, refused_by_a_sandbox])
def test_links_are_checked_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: Callable[[pytest.MonkeyPatch], None]
) -> None:
    fill(tmp_path, {"secret": b"secret", "root/a": b"a", "root/d/b": b"b"})
    root = tmp_path / "root"
    (root / "out").symlink_to("../secret")
    (root / "up").symlink_to("..")
    (root / "d" / "far").symlink_to("../../secret")
    (root / "in").symlink_to("a")
    system(monkeypatch)
    files = store(root)
    assert version(files, "d/b").digest == digest_of(b"b")
    for path in ("out", "up/secret", "d/far"):
        with pytest.raises(NoSuchFile):
            files.look(path)
    if system is with_neither:  # then no link is followed at all
        with pytest.raises(NoSuchFile):
            files.look("in")
    else:
        assert version(files, "a").digest == version(files, "in").digest
    files.close()


@pytest.mark.parametrize("system", [lambda _: None, without_openat2], ids=["openat2", "checked"])
def test_links_may_lead_out_and_back_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: Callable[[pytest.MonkeyPatch], None]
) -> None:
    fill(tmp_path, {"root/a": b"a", "root/d/b": b"b"})
    (tmp_path / "root" / "absolute").symlink_to(tmp_path / "root" / "a")
    (tmp_path / "root" / "d" / "round").symlink_to("../../root/a")
    system(monkeypatch)
    files = store(tmp_path / "root")
    assert version(files, "absolute").digest == version(files, "d/round").digest == digest_of(b"a")
    files.close()


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    fill(tmp_path, {f"small/{at}": b"x" * 1000 + bytes((at,)) for at in range(50)})
    fill(tmp_path, {f"large/{at}": b"y" * 2001 + bytes((at,)) for at in range(50)})
    files = store(tmp_path, limits=StoreLimits(small_bytes=2000, memory_bytes=10_000, descriptors=4, paths=10))
    before = open_files() + 1  # the root
    contents = [version(files, f"{kind}/{at}").content for kind in ("small", "large") for at in range(50)]
    assert open_files() <= before + 4
    for at, content in enumerate(contents):
        assert bytes(files.read(content, 1000, 1001))[0] == (at if at < 50 else ord("y"))
    files.close()
    assert open_files() == before - 1


@SIZES
def test_what_was_dropped_for_others_is_loaded_again(tmp_path: Path, limits: StoreLimits) -> None:
    fill(tmp_path, {"a": b"a" * 900, "b": b"b" * 900})
    files = store(tmp_path, limits=changed(limits, memory_bytes=1000, descriptors=1))
    contents = [version(files, name).content for name in ("a", "b")]
    for _ in range(2):
        assert [bytes(files.read(content, 0, 1)) for content in contents] == [b"a", b"b"]
    files.close()


def test_a_file_just_written_is_read_anew_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stamp cannot tell it from what is written within the same tick of the kernel's clock."""
    freeze_stamps(monkeypatch, LATER_NS + 1)
    files = store(tmp_path, clock_ns=lambda: LATER_NS + 10_000_000)
    contents = []
    for text in (b"one", b"two"):
        (tmp_path / "a").write_bytes(text)
        found = version(files, "a")
        assert not found.settled
        contents.append(found.content)
    assert [bytes(files.read(content, 0, 3)) for content in contents] == [b"one", b"two"]
    files.close()


def test_a_small_file_that_changes_while_it_is_read_is_pending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_range = disk.read_range

    def read_and_write(descriptor: int, start: int, stop: int) -> bytes:
        data = read_range(descriptor, start, stop)
        write(tmp_path / "a", b"new")
        return data

    write(tmp_path / "a", b"old")
    files = store(tmp_path)
    monkeypatch.setattr(disk, "read_range", read_and_write)
    with pytest.raises(HashPending):
        files.look("a")
    monkeypatch.undo()
    assert version(files, "a").digest == digest_of(b"new")
    files.close()


def test_a_file_written_a_moment_ago_is_served_as_it_is(tmp_path: Path) -> None:
    """Small enough to be read as a whole, it need not be waited for: what was read is what is sent."""
    write(tmp_path / "a", b"one")
    now = (tmp_path / "a").stat().st_ctime_ns
    files = store(tmp_path, limits=TINY, clock_ns=lambda: now)
    found = version(files, "a")
    assert found.digest == digest_of(b"one")
    assert not found.settled
    write(tmp_path / "a", b"two")
    assert bytes(files.read(found.content, 0, 3)) == b"one"
    assert version(files, "a").digest == digest_of(b"two")
    files.close()
