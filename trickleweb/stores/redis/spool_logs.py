"""One connection's input at the server as this process knows it: the places of its bytes, and some of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from trickles.drivers.spooldir.extents import Extents
from trickles.drivers.spooldir.log import Record
from trickles.promise import Promise

_BATCH, _RECORD = struct.Struct(">IIH"), struct.Struct(">QI")
_PLACE_BITS = 24  # of a place in a chunk: the last batch of a chunk exceeds CHUNK_BYTES by less than 12 MiB
INDEX_BYTES = 1 << 18  # read at once


class Stretch(NamedTuple):
    """Bytes [start, stop) of a chunk."""

    chunk: int
    start: int
    stop: int


class RedisLog:
    """Places of one owner's input. `checked_at` is when the server had them all, in seconds of a steady clock."""

    def __init__(self) -> None:
        self.gen = b""
        self.index_bytes = 0  # known of the index
        self.extents = Extents()
        self.checked_at = float("-inf")
        self.complete = False  # the index was known to its end when it was read last
        self.just_read = False  # in this moment: while those are called that waited for it
        self.blocks: list[tuple[int, bytes]] = []  # input, by its offset
        self.fetching: dict[int, Promise[None]] = {}  # by offset

    def begin(self, gen: bytes) -> None:
        """Take another log in place of the known one."""
        if gen != self.gen:
            self.gen, self.index_bytes, self.extents = gen, 0, Extents()
            self.blocks.clear()

    def add(self, gen: bytes, at: int, entries: bytes) -> None:
        """Add batches of the index from its byte `at` on; ignore them where others before them are not known."""
        if gen != self.gen and not at:
            self.begin(gen)
        if gen != self.gen or at != self.index_bytes:
            return
        for record, end in _records(entries):
            self.extents.add(record, 0)
            self.index_bytes = at + end

    def stretches(self, start: int, stop: int) -> list[Stretch]:
        """Return the stretches of chunks that together have that input, up to the first hole.

        Bytes that follow each other in a chunk make one stretch.
        """
        found: list[Stretch] = []
        for record, _ in self.extents.covering(start, stop):
            end = min(record.stop, stop)
            chunk, place = record.position >> _PLACE_BITS, record.position & (1 << _PLACE_BITS) - 1
            first, last = place + start - record.start, place + end - record.start
            if found and found[-1].chunk == chunk and found[-1].stop == first:
                found[-1] = found[-1]._replace(stop=last)
            else:
                found.append(Stretch(chunk, first, last))
            start = end
        return found

    def missing(self, start: int, stop: int) -> int:
        """Return the first offset of that input which no block has, or `stop`."""
        at = start
        while at < stop:
            ends = [offset + len(block) for offset, block in self.blocks if offset <= at < offset + len(block)]
            if not ends:
                return at
            at = max(ends)
        return stop

    def part(self, start: int, stop: int) -> bytes:
        """Return input bytes, which blocks have."""
        parts: list[bytes] = []
        at = start
        while at < stop:
            offset, block = next(each for each in self.blocks if each[0] <= at < each[0] + len(each[1]))
            parts.append(block[at - offset : stop - offset])
            at += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)


def batch_entries(places: list[tuple[int, int]]) -> bytes:
    """Return the entries of the index for records: offset and length."""
    return b"".join(_RECORD.pack(offset, size) for offset, size in places)


def batch_header(chunk: int, place: int, count: int) -> bytes:
    """Return the header that the server puts before the entries of a batch."""
    return _BATCH.pack(chunk, place, count)


def _records(entries: bytes) -> Iterator[tuple[Record, int]]:
    """Yield the records of whole batches, each with the end of its batch; nothing after a malformed one."""
    at = 0
    while at + _BATCH.size <= len(entries):
        chunk, place, count = _BATCH.unpack_from(entries, at)
        at += _BATCH.size
        end = at + count * _RECORD.size
        if end > len(entries):
            return
        for each in range(at, end, _RECORD.size):
            offset, size = _RECORD.unpack_from(entries, each)
            if not 0 < size < 1 << 16 or place + size >= 1 << _PLACE_BITS or offset >= 1 << 63:
                return
            yield Record(offset, offset + size, chunk << _PLACE_BITS | place), end
            place += size
        at = end
