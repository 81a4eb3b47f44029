"""The file of one stored response: its writer appends and holds a lock, its readers find out how it grows.

    form (8), store tag (16), begin in seconds (8), length of the head (4), zeros (4)
    end (16): zeros, or once it is known the length of the body and its complement
    the head, then the body

The writer holds an exclusive lock (flock) from before anyone knows the file's name until its end, and the kernel drops
the lock with the process, however it ends. So readers need no clock: a file with an end, and that many bytes, is
COMPLETE, one whose lock is held is OPEN, any other is CUT. All is read again after the lock was found free, since it
may have been written in between. Shared locks of readers do not disturb each other, and the writer is never without its
lock. The end is written before the last bytes: so a file with all bytes is COMPLETE, whenever its writer was killed.

Times are seconds by the clock of the machine since its boot: its date may be set while files are read. The mtime of a
file that is not OPEN is the time of its last use, see `response_room`.

No forked child has that descriptor (`unshared`).

The tag follows from the store's identity and from the boot of the machine: after a power failure a file may have the
right length with the wrong bytes, so responses of an earlier boot are not here. Nothing else needs to be on disk: what
one process has written, others read, whether or not the writer lives.

A local file system is assumed: others may have no locks between machines, or lose them.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trickles.drivers.storedir import FLAGS
from trickles.drivers.unshared import close_unshared, unshared
from trickles.service import Buffer
from trickleweb.response_store import Growth, StoredPart

FORM = b"trickleweb responses 1\n"  # of the store's identity; changes with anything here
MOST_READ_BYTES = 1 << 18  # a buffer of this size is kept
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_HEADER = struct.Struct(">8s16sQII")
_END = struct.Struct(">QQ")
HEADER_BYTES = _HEADER.size + _END.size
_MAGIC = FORM[-10:-2]
_MASK = (1 << 64) - 1
_NO_END = bytes(_END.size)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS


def tag_of(store_id: bytes) -> bytes:
    """Return the tag of files of this store since the machine booted."""
    with suppress(OSError):
        store_id += _BOOT.read_bytes()
    return hashlib.sha256(FORM + store_id).digest()[:16]


class WrittenFile:
    """A response's file as its writer has it."""

    def __init__(self, path: str, tag: bytes, head: bytes, clock: Callable[[], float]) -> None:
        """Make the file with the head; OSError leaves none."""
        self._body_bytes = 0
        self._clock = clock
        self._descriptor = unshared(lambda: os.open(path, _NEW, 0o600))
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(_HEADER.pack(_MAGIC, tag, int(clock()), len(head), 0) + _NO_END + head)
        except BaseException:
            self.close()
            Path(path).unlink(missing_ok=True)
            raise

    def append(self, data: Buffer, *, last: bool = False) -> None:
        """Append to the body; OSError may leave a part of it, of the last bytes too."""
        self._body_bytes += len(data)
        if last:
            size = self._body_bytes
            os.pwrite(self._descriptor, _END.pack(size, size ^ _MASK), _HEADER.size)
        self._write(data)

    def close(self) -> None:
        with suppress(OSError):
            _used(self._descriptor, self._clock())
        with suppress(OSError):
            close_unshared(self._descriptor)

    def _write(self, data: Buffer) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def is_held(path: str) -> bool:
    """Return True while a writer holds the file; anything but a file that can be opened is held by none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class StoredFile:
    """A response's file as its readers have it: open until the last of them lets go of this object."""

    def __init__(self, path: str, tag: bytes, scratch: memoryview) -> None:
        """Open it; OSError (ENOENT too) for a file that is missing, incomplete, or not of this store."""
        self._scratch = scratch
        self._ended: tuple[int, Growth] | None = None
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_RDONLY | FLAGS)
        head = os.pread(self._descriptor, HEADER_BYTES, 0)
        if len(head) < HEADER_BYTES:
            raise FileNotFoundError(f"{path} has no header")
        magic, found, self.begun_s, head_bytes, _ = _HEADER.unpack_from(head)
        if (magic, found) != (_MAGIC, tag):
            raise FileNotFoundError(f"{path} is not of this store")
        self._body_at = HEADER_BYTES + head_bytes
        if os.fstat(self._descriptor).st_size < self._body_at:
            raise FileNotFoundError(f"{path} has no head")
        self.head = os.pread(self._descriptor, head_bytes, HEADER_BYTES)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def state(self) -> tuple[int, Growth]:
        """Return the size of the body, and its growth as it was just before."""
        if self._ended is not None:
            return self._ended
        size, growth = self._complete() or self._incomplete()
        if growth is not Growth.OPEN:
            self._ended = size, growth
        return size, growth

    def part(self, at: int, most: int, *, wait: bool) -> StoredPart:
        """Return a part of the body; BlockingIOError if the disk must be read for it and `wait` is false.

        With `wait` false it uses a buffer of its store, on one thread only.
        """
        size, growth = self.state()
        count = max(min(most, size - at, MOST_READ_BYTES), 0)
        if not count:
            return StoredPart(self.head, b"", size, growth)
        if wait:
            data = os.pread(self._descriptor, count, self._body_at + at)
        else:
            view = self._scratch[:count]
            data = bytes(view[: os.preadv(self._descriptor, [view], self._body_at + at, os.RWF_NOWAIT)])
        if not data:
            raise OSError(errno.EIO, "a stored response has become shorter")
        return StoredPart(self.head, data, size, growth)

    def touch(self, now: float) -> None:
        """Note the use of the file."""
        with suppress(OSError):
            _used(self._descriptor, now)

    def _complete(self) -> tuple[int, Growth] | None:
        """Return the state of a complete file, None for any other."""
        found = os.pread(self._descriptor, _END.size, _HEADER.size)
        end: tuple[int, int] = _END.unpack(found) if len(found) == _END.size else (0, 0)
        size, complement = end
        is_whole = size ^ complement == _MASK and self._size() >= size
        return (size, Growth.COMPLETE) if is_whole else None

    def _incomplete(self) -> tuple[int, Growth]:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._size(), Growth.OPEN
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return self._complete() or (self._size(), Growth.CUT)

    def _size(self) -> int:
        size: int = os.fstat(self._descriptor).st_size - self._body_at
        return max(size, 0)


def _used(descriptor: int, now: float) -> None:
    os.utime(descriptor, (now, now))
