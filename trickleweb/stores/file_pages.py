"""Pages that the replicas of one machine share: a file of slots, in which new pages replace the oldest of their set.

A page's size chooses the class of its slot, and its key chooses a set of 16 slots in that class. A put writes the data
into the oldest slot of the set, then its entry in the table; a get reads the entries of one set in each class.

No lock is taken. An entry holds a checksum of key and data, so a page that was half written, by a process that was
killed or by two that chose one slot, is not there. Nor is one that garbage, truncation or another release left. The
file is read and written by calls: a memory map of a file that someone truncates would end the process.

A page is given back for at most a minute by the clock of the machine since its boot; all is soft state.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from trickles.drivers.keystore.files import fault
from trickles.drivers.ownership import PRIVATE
from trickles.drivers.storedir import FLAGS

KEY_BYTES = 32
WAYS = 16
MOST_AGE_S = 60.0  # a client that asks again does so within seconds
_ENTRY = struct.Struct(">32sdII16x")  # key, time, length and checksum of the data
_TIMES = struct.Struct(">" + WAYS * "32xd24x")  # of the entries of a set
_SET_BYTES = WAYS * _ENTRY.size
_CLASS_BYTES = 16 << 20  # of slots in each class
SLOT_BYTES = tuple(4096 << 2 * step for step in range(5))  # 4 KiB to 1 MiB
_SALT = zlib.crc32(b"trickleweb pages 1")


class FilePages:
    """`Pages` in a file of mode 0600, at most 81 MiB, that is made when it is missing. Call `look` about each second.

    Methods never raise: a file that cannot be used has no pages.
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = monotonic) -> None:
        self._path = Path(path)
        self._clock = clock
        self._descriptor = -1
        self.look()

    def put(self, key: bytes, data: bytes) -> None:
        """Keep a page, unless it is longer than the largest slot."""
        size = next((size for size in SLOT_BYTES if size >= len(data)), None)
        if size is None or len(key) != KEY_BYTES:
            return
        with suppress(OSError):
            table, slots, at = _places(size, key)
            way = self._way(os.pread(self._descriptor, _SET_BYTES, table + at * _ENTRY.size), key)
            if os.pwrite(self._descriptor, data, slots + (at + way) * size) == len(data):
                entry = _ENTRY.pack(key, self._clock(), len(data), _checksum(key, data))
                os.pwrite(self._descriptor, entry, table + (at + way) * _ENTRY.size)

    def get(self, key: bytes) -> bytes | None:
        """Return a page that was put within the last minute."""
        if len(key) == KEY_BYTES:
            with suppress(OSError):
                for size in SLOT_BYTES:
                    if (found := self._found(size, key)) is not None:
                        return found
        return None

    def look(self) -> None:
        """Open the file with this name, unless it is open."""
        with suppress(OSError):
            if self._descriptor >= 0 and os.path.samestat(os.fstat(self._descriptor), self._path.lstat()):
                return
        self.close()
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | FLAGS, 0o600)
            if fault(os.fstat(descriptor), self._path, PRIVATE):
                os.close(descriptor)
            else:
                self._descriptor = descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _found(self, size: int, key: bytes) -> bytes | None:
        table, slots, at = _places(size, key)
        entries = os.pread(self._descriptor, _SET_BYTES, table + at * _ENTRY.size)
        place = entries.find(key)
        if place < 0 or place % _ENTRY.size or place + _ENTRY.size > len(entries):
            return None
        _, since, length, checksum = _ENTRY.unpack_from(entries, place)
        if not _is_fresh(since, self._clock()) or length > size:
            return None
        data = os.pread(self._descriptor, length, slots + (at + place // _ENTRY.size) * size)
        return data if len(data) == length and _checksum(key, data) == checksum else None

    def _way(self, entries: bytes, key: bytes) -> int:
        """Return the slot for a key: its own, or the oldest of its set; what is not fresh is oldest of all."""
        place = entries.find(key)
        if place >= 0 and not place % _ENTRY.size:
            return place // _ENTRY.size
        now = self._clock()
        times = [since if _is_fresh(since, now) else 0.0 for since in _TIMES.unpack(entries.ljust(_SET_BYTES, b"\0"))]
        return times.index(min(times))


def _places(size: int, key: bytes) -> tuple[int, int, int]:
    """Return where the table and the slots of a class begin, and the number of the first slot of the key's set."""
    tables = len(SLOT_BYTES) << 18  # each has its entries of 64 bytes: at most 256 KiB
    number = SLOT_BYTES.index(size)
    sets = _CLASS_BYTES // size // WAYS
    return number << 18, tables + number * _CLASS_BYTES, int.from_bytes(key[:4], "big") % sets * WAYS


def _is_fresh(since: float, now: float) -> bool:
    return 0 <= now - since <= MOST_AGE_S  # False for what is no number


def _checksum(key: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(key, _SALT))
