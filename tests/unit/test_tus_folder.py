"""The folder of uploads: what is durable counts, quotas, damage, and the errors of a device."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trickleweb.tus import UploadFolder, UploadLimits, UploadRecord
from trickleweb.tus.uploads import NoUpload, UploadLocked, UploadsFull, UploadsUnavailable, UploadTooLong, Writer

ID, OTHER = "0" * 32, "1" * 32
RECORD = UploadRecord(id=ID, length=10, metadata="a YQ==", parts=("x",), writer=Writer("k", 3), expires_s=100)


@pytest.fixture
def store(tmp_path: Path) -> UploadFolder:
    return UploadFolder(tmp_path / "uploads")


def test_a_record_is_found_by_any_replica(store: UploadFolder, tmp_path: Path) -> None:
    store.create(RECORD)
    store.create(replace(RECORD, metadata="other"))  # a repeat
    assert UploadFolder(tmp_path / "uploads").find(ID) == RECORD
    with pytest.raises(NoUpload):
        store.find(OTHER)
    assert (tmp_path / "uploads").stat().st_mode & 0o777 == store.path(ID).parent.stat().st_mode & 0o777 == 0o700


def test_bytes_count_once_they_are_committed(store: UploadFolder) -> None:
    store.create(RECORD)
    upload = store.open(ID)
    upload.write(b"lost!")
    upload.close()
    upload = store.open(ID)
    assert upload.record.offset == 0
    upload.write(b"1234")
    upload.write(b"567")
    with pytest.raises(ValueError, match="only 7 bytes"):
        upload.commit(replace(upload.record, offset=8))
    upload.commit(replace(upload.record, offset=7))
    with pytest.raises(UploadTooLong):
        upload.write(b"890+")
    upload.close()
    upload.close()
    with pytest.raises(UploadLocked):
        upload.write(b"8")
    assert store.find(ID).offset == 7
    assert store.path(ID).read_bytes()[:7] == b"1234567"


def test_one_request_at_a_time(store: UploadFolder) -> None:
    store.create(RECORD)
    upload = store.open(ID)
    with pytest.raises(UploadLocked):
        store.open(ID)
    upload.close()
    upload = store.open(ID)
    upload.remove()
    with pytest.raises(NoUpload):
        store.open(ID)
    upload.close()


def test_expired_uploads_are_swept_unless_in_use(store: UploadFolder, tmp_path: Path) -> None:
    store.create(RECORD)
    store.create(replace(RECORD, id=OTHER, expires_s=None))
    assert store.sweep(99) == 0
    upload = store.open(ID)
    assert store.sweep(100) == 0
    upload.close()
    stray, others = tmp_path / "uploads" / ("f" * 32), tmp_path / "uploads" / "others"
    stray.mkdir()
    others.mkdir()
    (tmp_path / "uploads" / "file").write_text("another's")
    os.utime(stray, (1000, 1000))
    os.utime(others, (1000, 1000))
    assert store.sweep(1000 + 3599) == 1
    assert store.sweep(1000 + 3600) == 1
    assert sorted(path.name for path in (tmp_path / "uploads").iterdir()) == [OTHER, "file", "others"]


def test_the_record_of_a_moved_file_is_kept_for_a_day(store: UploadFolder, tmp_path: Path) -> None:
    store.create(replace(RECORD, expires_s=None, is_finished=True))
    store.path(ID).rename(tmp_path / "moved")
    moved_s = 1000
    os.utime(store.path(ID).parent / "info", (moved_s, moved_s))
    assert store.sweep(moved_s + 86_399) == 0
    assert store.find(ID).is_finished
    assert store.sweep(moved_s + 86_400) == 1


def test_a_creation_that_was_cut_short_is_made_again(store: UploadFolder) -> None:
    store.path(ID).parent.mkdir()
    store.create(RECORD)
    assert store.find(ID) == RECORD


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1}', '{"version": 1, "writer": []}'])
def test_a_damaged_record_is_reported_and_left_alone(store: UploadFolder, text: str) -> None:
    store.create(RECORD)
    (store.path(ID).parent / "info").write_text(text)
    for call in (store.find, store.open):
        with pytest.raises(UploadsUnavailable, match="damaged"):
            call(ID)
    assert store.sweep(1 << 40) == 0


def test_a_copy_has_all_bytes_on_any_file_system(store: UploadFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(replace(RECORD, length=3))
    upload = store.open(ID)
    upload.write(b"123")
    upload.close()
    store.create(replace(RECORD, id=OTHER, length=6))
    final = store.open(OTHER)
    final.copy(ID)

    def copy_file_range(*_: object) -> int:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "copy_file_range", copy_file_range)
    final.copy(ID)
    final.close()
    assert store.path(OTHER).read_bytes() == b"123123"


def failing(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, UploadsFull),
        (errno.EDQUOT, UploadsFull),
        (errno.EROFS, UploadsUnavailable),
        (errno.EIO, UploadsUnavailable),
    ],
)
def test_errors_of_the_device(
    store: UploadFolder, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    store.create(RECORD)
    upload = store.open(ID)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", failing(code))
        with pytest.raises(kind):
            upload.write(b"123")
    upload.write(b"123")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing(code))
        with pytest.raises(kind):
            upload.commit(replace(RECORD, offset=3))
        assert store.find(ID).offset == 0
        patched.setattr(os, "fsync", failing(code))
        with pytest.raises(kind):
            store.create(replace(RECORD, id=OTHER))
    upload.close()
    assert store.find(ID) == RECORD


def test_a_removed_folder(store: UploadFolder, tmp_path: Path) -> None:
    store.create(RECORD)
    (tmp_path / "uploads").rename(tmp_path / "gone")
    for call in (lambda: store.find(ID), lambda: store.open(ID), lambda: store.create(RECORD), lambda: store.sweep(0)):
        with pytest.raises(UploadsUnavailable, match="No such file"):
            call()
    (tmp_path / "uploads").write_text("a file")
    with pytest.raises(UploadsUnavailable):
        UploadFolder(tmp_path / "uploads")


def test_the_share_of_all(tmp_path: Path) -> None:
    store = UploadFolder(tmp_path, UploadLimits(total_bytes=25, uploads=3))
    store.create(RECORD)
    store.create(replace(RECORD, id=OTHER))
    with pytest.raises(UploadsFull):
        store.create(replace(RECORD, id="2" * 32))
    store.create(replace(RECORD, id="3" * 32, length=None))
    with pytest.raises(UploadsFull):
        store.create(replace(RECORD, id="4" * 32, length=0))
