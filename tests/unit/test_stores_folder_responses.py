"""Responses in a folder: everything that can be wrong with it, and what is removed when."""

import asyncio
import errno
import fcntl
import os
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.support.forks import living_child
from tests.support.onloop import on_loop
from tests.support.response_folders import HOST, Store, begun, files, finished, mode
from trickleweb.errors import ResponseStoreFull, ResponseStoreUnavailable
from trickleweb.response_store import Growth, StoredPart
from trickleweb.stores import FolderResponses, response_files
from trickleweb.stores.response_files import HEADER_BYTES, MOST_READ_BYTES, StoredFile


def failing(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)


@on_loop
async def test_files_are_private(response_folder: Path, open_store: Store) -> None:
    await finished(open_store(), b"body")
    assert sorted(mode(path) for path in (response_folder, *files(response_folder), response_folder / "identity")) == [
        0o600,
        0o600,
        0o700,
    ]


@on_loop
async def test_a_long_body_is_read_in_parts(open_store: Store) -> None:
    one, body = open_store(), os.urandom(3 * MOST_READ_BYTES + 17)
    name, got = await finished(one, body[:100_000], body[100_000:]), b""
    while (part := await one.read(name, len(got), len(body))) and part.data:
        assert len(part.data) <= MOST_READ_BYTES
        got += part.data
    assert got == body


@on_loop
async def test_what_is_not_in_memory_is_read_on_a_thread(open_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one = open_store()
    name = await finished(one, b"body")
    for number in (errno.EAGAIN, errno.EOPNOTSUPP):
        failing(monkeypatch, "preadv", number)
        assert await one.read(name, 1, 10) == StoredPart(b"head", b"ody", 4, Growth.COMPLETE)


@on_loop
async def test_a_disk_that_cannot_be_read_is_a_typed_error(open_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one = open_store()
    name = await finished(one, b"body")
    failing(monkeypatch, "preadv", errno.EIO)
    with pytest.raises(ResponseStoreUnavailable, match="Input/output error"):
        await one.read(name, 0, 10)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@on_loop
async def test_a_disk_that_is_full_in_the_middle_cuts(
    open_store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    one = open_store()
    writer = await begun(one, b"body")
    failing(monkeypatch, "write", number)
    with pytest.raises(ResponseStoreFull):
        await writer.append(b"more")
    monkeypatch.undo()
    with pytest.raises(ResponseStoreUnavailable, match="ended"):
        await writer.append(b"more")
    writer.close()
    assert await one.read(writer.name, 0, 10) == StoredPart(b"head", b"body", 4, Growth.CUT)


@on_loop
async def test_a_response_with_all_its_bytes_is_complete_whenever_its_writer_is_killed(
    open_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each system call of the last step is followed by a look of another replica, and by one as if it were the last."""
    one, other = open_store(), open_store()
    looks: list[tuple[bytes, Growth, Growth]] = []
    is_locked: list[bool] = []

    def flock(_descriptor: int, operation: int) -> None:
        if is_locked[-1] and operation & fcntl.LOCK_SH:
            raise BlockingIOError

    def look(*, locked: bool) -> StoredPart:
        is_locked.append(locked)
        return StoredFile(other._path(writer.name), other._tag, other._scratch).part(0, 10, wait=True)

    def watched(call: str) -> None:
        real = getattr(os, call)

        def made(descriptor: int, data: bytes, *at: int) -> int:
            done: int = real(descriptor, bytes(data)[:2] if not at else data, *at)
            first, second = look(locked=True), look(locked=False)
            looks.append((first.data, first.growth, second.growth))
            return done

        monkeypatch.setattr(os, call, made)

    writer = await begun(one, b"bo")
    monkeypatch.setattr(fcntl, "flock", flock)
    watched("write")
    watched("pwrite")
    await writer.append(b"dy!", last=True)
    monkeypatch.undo()
    assert looks == [
        (b"bo", Growth.OPEN, Growth.CUT),
        (b"body", Growth.OPEN, Growth.CUT),
        (b"body!", Growth.COMPLETE, Growth.COMPLETE),
    ]


@on_loop
async def test_a_head_that_cannot_be_written_leaves_nothing(
    response_folder: Path, open_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = open_store()
    writer = await one.begin(client=HOST)
    failing(monkeypatch, "write", errno.EROFS)
    with pytest.raises(ResponseStoreUnavailable, match="Read-only"):
        await writer.start(b"head")
    writer.close()
    assert files(response_folder) == []
    assert await one.read(writer.name, 0, 10) is None


@on_loop
async def test_a_full_disk_is_noticed_before_the_program_runs(
    open_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, real = open_store(), os.statvfs

    def full(path: Path) -> os.statvfs_result:
        values = list(real(path))
        values[4] = 1  # f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", full)
    with pytest.raises(ResponseStoreFull, match="disk"):
        await one.begin(client=HOST)


@on_loop
async def test_a_read_only_disk_is_noticed_before_the_program_runs(
    open_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, real = open_store(), os.statvfs

    def read_only(path: Path) -> os.statvfs_result:
        values = list(real(path))
        values[8] |= os.ST_RDONLY
        return os.statvfs_result(values)

    name = await finished(one, b"body")
    monkeypatch.setattr(os, "statvfs", read_only)
    with pytest.raises(ResponseStoreUnavailable, match="cannot be written"):
        await one.begin(client=HOST)
    assert (await one.read(name, 0, 10)) is not None


@on_loop
async def test_a_folder_that_was_removed_is_made_again(response_folder: Path, open_store: Store) -> None:
    one = open_store()
    before, name = one.store_id, await finished(one, b"body")
    shutil.rmtree(response_folder)
    fresh = await finished(one, b"other")
    assert one.store_id not in (before, b"")
    other = open_store()
    assert await other.read(name, 0, 10) is None
    assert await other.read(fresh, 0, 10) == StoredPart(b"head", b"other", 5, Growth.COMPLETE)


@on_loop
async def test_a_folder_that_is_a_file_now_is_refused_before_the_program_runs(
    response_folder: Path, open_store: Store
) -> None:
    one = open_store()
    shutil.rmtree(response_folder)
    (response_folder.parent / "file").touch()
    shutil.move(response_folder.parent / "file", response_folder)
    with pytest.raises(ResponseStoreUnavailable, match="stored responses"):
        await one.begin(client=HOST)
    assert one.store_id == b""
    one.look()
    shutil.move(response_folder, response_folder.parent / "file")
    await finished(one)


@on_loop
async def test_a_folder_of_another_release_is_refused(response_folder: Path, open_store: Store) -> None:
    running = open_store()
    (response_folder / "identity").write_bytes(b"trickleweb responses 9\n" + bytes(32))
    with pytest.raises(ResponseStoreUnavailable, match="another release: remove it when all replicas have stopped"):
        open_store()
    with pytest.raises(ResponseStoreUnavailable, match="another release"):
        await running.begin(client=HOST)


@pytest.mark.parametrize("trouble", ["garbage", "open to others", "a file"])
def test_who_is_patient_waits_for_a_usable_folder(response_folder: Path, open_store: Store, trouble: str) -> None:
    if trouble == "a file":
        response_folder.touch()
    else:
        open_store()
        response_folder.chmod(0o755 if trouble == "open to others" else 0o700)
        (response_folder / "identity").write_bytes(b"garbage")
    one = open_store(patient=True)
    assert one.store_id == b""
    with pytest.raises(ResponseStoreUnavailable):
        asyncio.run(one.begin(client=HOST))
    with pytest.raises(ResponseStoreUnavailable):
        one.look()
    response_folder.rename(response_folder.parent / "old")
    asyncio.run(finished(one))
    assert len(one.store_id) == 32


def test_a_folder_open_to_others_is_refused(response_folder: Path, open_store: Store) -> None:
    open_store()
    response_folder.chmod(0o755)
    with pytest.raises(ResponseStoreUnavailable, match="chmod go-rwx"):
        open_store()


def test_an_identity_open_to_others_is_refused(response_folder: Path, open_store: Store) -> None:
    open_store()
    (response_folder / "identity").chmod(0o644)
    with pytest.raises(ResponseStoreUnavailable, match="chmod go-rwx"):
        open_store()


def test_a_file_in_place_of_the_folder_is_refused(response_folder: Path, open_store: Store) -> None:
    response_folder.touch()
    with pytest.raises(ResponseStoreUnavailable, match="cannot hold stored responses"):
        open_store()


@on_loop
async def test_a_copy_of_the_folder_has_no_responses(response_folder: Path, tmp_path: Path, open_store: Store) -> None:
    name = await finished(open_store(), b"body")
    shutil.copytree(response_folder, tmp_path / "copy")
    copy = FolderResponses(tmp_path / "copy")
    assert await copy.read(name, 0, 10) is None
    copy.close()


@on_loop
async def test_responses_end_with_the_boot(open_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = await finished(open_store(), b"body")
    (tmp_path / "boot").write_text("another")
    monkeypatch.setattr(response_files, "_BOOT", tmp_path / "boot")
    assert await open_store().read(name, 0, 10) is None


@pytest.mark.parametrize("content", [b"", b"x", bytes(HEADER_BYTES), b"\xff" * 5000], ids=len)
@on_loop
async def test_garbage_is_no_response(response_folder: Path, open_store: Store, content: bytes) -> None:
    name = await finished(open_store(), b"body")
    files(response_folder)[0].write_bytes(content)
    assert await open_store().read(name, 0, 10) is None


@on_loop
async def test_a_head_cut_off_is_no_response(response_folder: Path, open_store: Store) -> None:
    name = await finished(open_store(), b"body")
    os.truncate(files(response_folder)[0], HEADER_BYTES + 2)
    assert await open_store().read(name, 0, 10) is None


@on_loop
async def test_a_complete_file_that_was_shortened_is_cut(response_folder: Path, open_store: Store) -> None:
    name = await finished(open_store(), b"body")
    os.truncate(files(response_folder)[0], HEADER_BYTES + 6)
    assert await open_store().read(name, 0, 10) == StoredPart(b"head", b"bo", 2, Growth.CUT)


@on_loop
async def test_a_complete_file_that_was_appended_to_keeps_its_end(response_folder: Path, open_store: Store) -> None:
    name = await finished(open_store(), b"body")
    with files(response_folder)[0].open("ab") as file:
        file.write(b"more")
    assert await open_store().read(name, 0, 10) == StoredPart(b"head", b"body", 4, Growth.COMPLETE)


@on_loop
async def test_a_file_that_is_shortened_while_it_is_read_is_a_typed_error(
    response_folder: Path, open_store: Store
) -> None:
    one = open_store()
    name = await finished(one, b"body")
    await one.read(name, 0, 10)
    os.truncate(files(response_folder)[0], HEADER_BYTES + 4)
    with pytest.raises(ResponseStoreUnavailable, match="shorter"):
        await one.read(name, 0, 10)


@on_loop
async def test_other_things_in_the_place_of_a_file_are_typed_errors(response_folder: Path, open_store: Store) -> None:
    name = await finished(open_store(), b"body")
    path, elsewhere = files(response_folder)[0], response_folder / "elsewhere"
    path.rename(elsewhere)
    for put in (os.mkdir, partial(os.symlink, elsewhere), os.mkfifo):
        put(path)
        with pytest.raises(ResponseStoreUnavailable):
            await open_store().read(name, 0, 10)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


@on_loop
async def test_a_cancelled_write_finishes_before_its_file_is_closed(
    open_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, real, begin, proceed = open_store(), os.write, threading.Event(), threading.Event()
    writer = await begun(one, b"12")

    def slow(descriptor: int, data: bytes) -> int:
        begin.set()
        proceed.wait(10)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    task = asyncio.create_task(writer.append(b"34"))
    await asyncio.to_thread(begin.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    writer.close()
    part = await one.read(writer.name, 0, 10)
    assert part == StoredPart(b"head", b"12", 2, Growth.OPEN)  # the thread still has it
    proceed.set()
    async with asyncio.timeout(10):
        while (part := await one.read(writer.name, 0, 10)) and part.growth is Growth.OPEN:
            await one.wait(writer.name, 10)
    assert part == StoredPart(b"head", b"1234", 4, Growth.CUT)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@on_loop
async def test_a_forked_child_does_not_keep_a_response_open(open_store: Store) -> None:
    here, there = open_store(), open_store()
    writer = await begun(here, b"12")
    with living_child():
        writer.close()
        assert await there.read(writer.name, 0, 10) == StoredPart(b"head", b"12", 2, Growth.CUT)


@on_loop
async def test_a_store_that_is_closed_cuts_and_stores_nothing_more(open_store: Store) -> None:
    here, there = open_store(), open_store()
    writer = await begun(here, b"12")
    here.close()
    with pytest.raises(ResponseStoreUnavailable):
        await writer.append(b"34")
    assert await there.read(writer.name, 0, 10) == StoredPart(b"head", b"12", 2, Growth.CUT)
    with pytest.raises(ResponseStoreUnavailable, match="closed"):
        await here.begin(client=HOST)


@on_loop
async def test_a_long_head_is_refused(open_store: Store) -> None:
    writer = await open_store().begin(client=HOST)
    with pytest.raises(ResponseStoreFull, match="head"):
        await writer.start(bytes((1 << 16) + 1))
    writer.close()


@on_loop
async def test_a_response_begins_once(open_store: Store) -> None:
    writer = await begun(open_store())
    with pytest.raises(ResponseStoreUnavailable, match="begun"):
        await writer.start(b"other")
    writer.close()
