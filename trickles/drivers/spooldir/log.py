"""A log: the pieces of one connection's input that one process wrote, each with a tag.

A log is a head (16 bytes) and records. A record is offset (8), size (4), tag (16), the piece, and zeros up to 512
bytes. The head is the tag of no bytes at a place that no piece has: it identifies owner and store.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from trickles.drivers.storedir import FLAGS
from trickles.keyring import Purpose, Stamp
from trickles.service import Buffer
from trickles.spool import SpoolFull

TAG_BYTES = 16
LEAST_RECORD_BYTES = 512  # so that small pieces take more disk than memory
MOST_PIECE_BYTES = (1 << 16) - 1
_PLACE = struct.Struct(">QI")
_HEADER = struct.Struct(">QI16s")
_HEADER_BYTES = _HEADER.size
_NOWHERE = _PLACE.pack((1 << 64) - 1, 0)
_SMALL_BLOCK, _LARGE_BLOCK = 1 << 14, 1 << 18  # bytes read at once, for headers alone and with the pieces
FIRST = TAG_BYTES  # where the first record begins


class Record(NamedTuple):
    """A record at byte `position` of a log, with input bytes [start, stop)."""

    start: int
    stop: int
    position: int


class Seal:
    """Makes and checks the tags of one connection's pieces in one store."""

    def __init__(self, store: bytes, owner: bytes) -> None:
        self._tag = Stamp(store, Purpose.PIECE, owner).tag
        self.head = self._tag(_NOWHERE, b"")

    def header(self, offset: int, data: Buffer) -> bytes:
        place = _PLACE.pack(offset, len(data))
        return place + self._tag(place, data)

    def fits(self, place: bytes, tag: Buffer, data: Buffer) -> bool:
        """Return True when that piece was written with that tag at that place."""
        return tag == self._tag(place, data)


def append(path: str, seal: Seal, offset: int, data: Buffer, most_bytes: int) -> tuple[Record, int]:
    """Write one record; return it, and the log's new end. OSError and SpoolFull leave the log unchanged."""
    header, size = seal.header(offset, data), len(data)
    parts: list[Buffer] = [header, data]
    if _HEADER_BYTES + size < LEAST_RECORD_BYTES:
        parts.append(bytes(LEAST_RECORD_BYTES - _HEADER_BYTES - size))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | FLAGS, 0o600)
    try:
        at = _regular(descriptor, path).st_size
        end = (at or FIRST) + max(_HEADER_BYTES + size, LEAST_RECORD_BYTES)
        if end > most_bytes:
            raise SpoolFull
        try:
            _write(descriptor, parts if at else [seal.head, *parts], end - at)
        except OSError:
            os.ftruncate(descriptor, at)
            if not at:
                with suppress(OSError):
                    Path(path).unlink()
            raise
    finally:
        os.close(descriptor)
    return Record(offset, offset + size, at or FIRST), end


def _write(descriptor: int, parts: list[Buffer], size: int) -> None:
    done = os.writev(descriptor, parts)
    if done < size:
        rest = b"".join(parts)[done:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def records(descriptor: int, seal: Seal, position: int, *, checked: bool) -> Iterator[tuple[Record, int]]:
    """Yield the records from `position` on, each with its end; `checked`: only to the first bad tag.

    At 0 the head is checked: a log of another connection or store has no records.
    """
    if not position:
        if os.pread(descriptor, TAG_BYTES, 0) != seal.head:
            return
        position = FIRST
    size = os.fstat(descriptor).st_size
    block = _LARGE_BLOCK if checked else _SMALL_BLOCK
    view, base = memoryview(b""), position
    while position + _HEADER_BYTES <= size:
        at = position - base
        if len(view) - at < _HEADER_BYTES:
            view, base, at = memoryview(os.pread(descriptor, block, position)), position, 0
            if len(view) < _HEADER_BYTES:
                return
        offset, length, tag = _HEADER.unpack_from(view, at)
        end = position + max(_HEADER_BYTES + length, LEAST_RECORD_BYTES)
        if not 0 < length <= MOST_PIECE_BYTES or end > size:
            return
        if checked:
            if len(view) - at < _HEADER_BYTES + length:
                view, base, at = memoryview(os.pread(descriptor, block, position)), position, 0
            data = view[at + _HEADER_BYTES : at + _HEADER_BYTES + length]
            if not seal.fits(_PLACE.pack(offset, length), tag, data):
                return
        yield Record(offset, offset + length, position), end
        position = end


def follows(record: Record, other: Record) -> bool:
    """Return True when `record` directly follows `other` in their log."""
    size = _HEADER_BYTES + other.stop - other.start
    return record.position == other.position + (size if size > LEAST_RECORD_BYTES else LEAST_RECORD_BYTES)


def span(run: Sequence[Record]) -> int:
    """Return how many bytes of their log consecutive records take."""
    last = run[-1]
    return last.position + _HEADER_BYTES + last.stop - last.start - run[0].position


def pieces(descriptor: int, seal: Seal, run: Sequence[Record], view: memoryview) -> list[Buffer]:
    """Return the pieces of consecutive records, read into a view of their span; OSError when one is missing."""
    base, parts = run[0].position, list[Buffer]()
    if os.preadv(descriptor, [view], base) < len(view):
        raise OSError("the log is shorter than it was")
    for start, stop, position in run:
        at = position - base
        data_at = at + _HEADER_BYTES
        data, place = view[data_at : data_at + stop - start], _PLACE.pack(start, stop - start)
        if view[at : at + _PLACE.size] != place or not seal.fits(place, view[at + _PLACE.size : data_at], data):
            raise OSError("a piece is not what it was")
        parts.append(data)
    return parts


def open_regular(path: str, flags: int) -> int:
    """Return a descriptor of a regular file; OSError for anything else."""
    descriptor = os.open(path, flags | FLAGS, 0o600)
    try:
        _regular(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    """Yield the descriptor of `open_regular`, and close it."""
    descriptor = open_regular(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _regular(descriptor: int, path: str) -> os.stat_result:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a regular file")
    return status
