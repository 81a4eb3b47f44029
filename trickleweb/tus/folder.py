"""Uploads in a folder that the replicas of a machine share: a directory for each, with its bytes and its record.

  ID/          locked with flock by the request at work on it; the system unlocks it if the process dies
  ID/data      the bytes; as long as the whole upload from the beginning, without taking space (a sparse file), so that
               the lengths of these files are the share that is used up
  ID/info      the record, replaced as a whole after the bytes are durable

A directory without a record is one that is being made or removed; it is swept after an hour. Other directories, and
those with a record that cannot be read, are left alone: they may be somebody's, or another release's.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

from trickles.drivers.unshared import close_unshared, unshared
from trickles.service import Buffer
from trickleweb.stores.owners import alone
from trickleweb.tus.fields import is_id
from trickleweb.tus.uploads import (
    DEFAULT_UPLOAD_LIMITS,
    NoUpload,
    UploadLimits,
    UploadLocked,
    UploadRecord,
    UploadsFull,
    UploadsUnavailable,
    UploadTooLong,
    Writer,
)

GROWN_BYTES = 16 << 20  # by which an upload of unknown length grows: each looks at all others
_STRAY_S = 3600
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_VERSION = 1


class UploadFolder:
    """A folder of uploads, made if it does not exist; only its owner may read it. Methods are thread-safe.

    A finished upload stays until the application removes or moves its file, `path(id)`. Raises `UploadsUnavailable`.
    """

    def __init__(self, path: str | os.PathLike[str], limits: UploadLimits = DEFAULT_UPLOAD_LIMITS) -> None:
        self.limits = limits
        self._root = Path(path).absolute()
        with _translated(self._root):
            self._root.mkdir(0o700, parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return the file of an upload."""
        return self._root / name / "data"

    def create(self, record: UploadRecord) -> None:
        """Add an upload unless it exists, and reserve its length; raise `UploadsFull`."""
        place = self._root / record.id
        with _translated(self._root), self._share() as used:
            if (place / "info").exists():
                return
            if used.uploads >= self.limits.uploads or used.byte_count + (record.length or 0) > self.limits.total_bytes:
                raise UploadsFull("the share of all uploads is used up")
            place.mkdir(0o700, exist_ok=True)
            with (place / "data").open("wb") as data:
                data.truncate(record.length or 0)
            _replace_record(place, record)
            _synchronise(self._root)

    def find(self, name: str) -> UploadRecord:
        """Return the record of an upload; raise `NoUpload`."""
        with _translated(self._root):
            return self._found(name)

    def open(self, name: str) -> OpenFolder:
        """Lock an upload; raise `NoUpload` or `UploadLocked`."""
        with _translated(self._root):
            record = self._found(name)
            place = self._root / name
            lock = _locked(place)
            try:
                return OpenFolder(self, place, lock, self._found(record.id))
            except BaseException:
                close_unshared(lock)
                raise

    def resize(self, data: int, size: int) -> None:
        """Change the length of a file; raise `UploadsFull`."""
        with self._share() as used:
            if used.byte_count + size - os.fstat(data).st_size > self.limits.total_bytes:
                raise UploadsFull("the share of all uploads is used up")
            os.ftruncate(data, size)

    def sweep(self, now_s: int) -> int:
        """Remove the uploads that expired before then, and what is left of incomplete ones; return their number."""
        removed = 0
        with _translated(self._root):
            for place in filter(lambda place: is_id(place.name), list(self._root.iterdir())):
                with suppress(FileNotFoundError, NotADirectoryError, NoUpload, UploadLocked):
                    removed += self._swept(place, now_s)
        return removed

    def _swept(self, place: Path, now_s: int) -> bool:
        if self._expires_s(place) > now_s:
            return False
        lock = _locked(place)
        try:
            if self._expires_s(place) > now_s:  # it went on meanwhile
                return False
            _remove(place)
            return True
        finally:
            close_unshared(lock)

    def _expires_s(self, place: Path) -> float:
        try:
            expires_s = self._found(place.name).expires_s
        except NoUpload:
            return place.stat().st_mtime + _STRAY_S
        except UploadsUnavailable:
            return inf
        if expires_s is None and not (place / "data").exists():  # the application has it; clients may still ask
            return (place / "info").stat().st_mtime + self.limits.age_s
        return inf if expires_s is None else expires_s

    def _found(self, name: str) -> UploadRecord:
        try:
            return _decoded((self._root / name / "info").read_bytes())
        except FileNotFoundError:
            self._root.stat()  # it is the upload that is missing, not all of them
            raise NoUpload(name) from None
        except (ValueError, TypeError, KeyError):
            raise UploadsUnavailable(f"the record of upload {name} is damaged, or of another release") from None

    @contextmanager
    def _share(self) -> Iterator[_Used]:
        """Count what is used up; nobody else adds to it meanwhile."""
        with alone(self._root):
            yield _Used(self._root)


class _Used:
    def __init__(self, root: Path) -> None:
        self.uploads = self.byte_count = 0
        for name in os.listdir(root):  # noqa: PTH208 - ten thousand of them
            self.uploads += 1
            with suppress(OSError):
                self.byte_count += os.stat(f"{root}/{name}/data").st_size  # noqa: PTH116


class OpenFolder:
    """An upload locked for one request; a thread at work in it keeps it open until it is done."""

    def __init__(self, folder: UploadFolder, place: Path, lock: int, record: UploadRecord) -> None:
        self.record = record
        self._folder = folder
        self._place = place
        self._lock = lock
        self._at_work = threading.Lock()
        self._data = -1
        self._end = record.offset
        self._closed = False

    def write(self, data: Buffer) -> None:
        """Write after the bytes written so far; raise `UploadTooLong` or `UploadsFull`."""
        with self._at_work, _translated(self._place):
            self._make_room(self._end + len(data))
            view = memoryview(data)
            while view:
                written = os.pwrite(self._file(), view, self._end)
                view, self._end = view[written:], self._end + written

    def copy(self, name: str) -> None:
        """Write all bytes of another upload."""
        with self._at_work, _translated(self._place), self._folder.path(name).open("rb") as source:
            left = os.fstat(source.fileno()).st_size
            self._make_room(self._end + left)
            while left and (copied := _copied(source.fileno(), self._file(), left, self._end)):
                left, self._end = left - copied, self._end + copied

    def commit(self, record: UploadRecord) -> None:
        """Make the bytes durable, then the record."""
        with self._at_work, _translated(self._place):
            if record.offset > self._end:
                raise ValueError(f"only {self._end} bytes were written, not {record.offset}")
            if record.length is not None and record.length != self.record.length:
                self._folder.resize(self._file(), record.length)
            if record.offset > self.record.offset:
                os.fdatasync(self._file())
            _replace_record(self._place, record)
            self.record = record

    def remove(self) -> None:
        """Remove the upload."""
        with self._at_work, _translated(self._place):
            _remove(self._place)

    def close(self) -> None:
        """Unlock the upload, once nothing is at work on it."""
        with self._at_work:
            if self._closed:
                return
            self._closed = True
            close_unshared(self._lock)
            if self._data >= 0:
                os.close(self._data)

    def _file(self) -> int:
        if self._closed:
            raise UploadLocked("the upload was closed meanwhile")
        if self._data < 0:
            self._data = os.open(self._place / "data", os.O_RDWR)
        return self._data

    def _make_room(self, stop: int) -> None:
        length, most = self.record.length, self._folder.limits.upload_bytes
        if stop > (most if length is None else length):
            raise UploadTooLong("the upload is longer than it may be")
        if length is None and stop > os.fstat(self._file()).st_size:
            self._folder.resize(self._file(), min(stop + GROWN_BYTES, most))


def _locked(place: Path) -> int:
    """Return a descriptor that locks a directory; raise `UploadLocked`."""
    try:
        lock = unshared(lambda: os.open(place, os.O_RDONLY | os.O_DIRECTORY))
    except FileNotFoundError:
        raise NoUpload(place.name) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        close_unshared(lock)
        raise UploadLocked("another request is at work on the upload") from None
    except BaseException:
        close_unshared(lock)
        raise
    return lock


def _copied(source: int, target: int, byte_count: int, offset: int) -> int:
    """Copy within the file system, which may share the blocks of both files; return how many bytes."""
    source_at = os.lseek(source, 0, os.SEEK_CUR)
    try:
        copied = os.copy_file_range(source, target, min(byte_count, GROWN_BYTES), source_at, offset)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}:
            raise
        copied = os.pwrite(target, os.pread(source, min(byte_count, 1 << 20), source_at), offset)
    os.lseek(source, copied, os.SEEK_CUR)
    return copied


def _replace_record(place: Path, record: UploadRecord) -> None:
    new = place / "info.new"
    with new.open("wb") as file:
        file.write(json.dumps({"version": _VERSION, **asdict(record)}).encode())
        file.flush()
        os.fsync(file.fileno())
    new.rename(place / "info")
    _synchronise(place)


def _decoded(data: bytes) -> UploadRecord:
    fields: dict[str, Any] = json.loads(data)
    if fields.pop("version") != _VERSION:
        raise ValueError("another release")
    writer, parts = Writer(*fields.pop("writer")), tuple(fields.pop("parts"))
    return UploadRecord(writer=writer, parts=parts, **fields)


def _remove(place: Path) -> None:
    (place / "info").unlink(missing_ok=True)  # from now on it does not exist
    shutil.rmtree(place)


def _synchronise(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(place: Path) -> Iterator[None]:
    """Raise errors of the system as errors of the store."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UploadsFull(f"no space is left for uploads: {error.strerror}") from error
        raise UploadsUnavailable(f"uploads cannot be stored in {place}: {error.strerror}") from error
