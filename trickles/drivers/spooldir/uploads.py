"""Uploads with known places of their pieces: soft state, bounded by the count of pieces.

The work for one datagram is bounded: a look at the logs reads a number of new records, and the next one continues
there; a read has few files open at a time. A log with an invalid end (torn by a crash, or written to by another
program) gets no more pieces: this upload gets another one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from trickles.drivers.spooldir.descriptors import Descriptors
from trickles.drivers.spooldir.extents import Extents
from trickles.drivers.spooldir.log import FIRST, Record, Seal, follows, opened, pieces, records, span
from trickles.errors import InputBusy
from trickles.service import Buffer
from trickles.spool import SpoolFull

MOST_LOGS = 256  # of one upload: one for each replica and each address of the client
LOOK_RECORDS = 64  # read for one commit or one read: as expensive as two or three requests
_MOST_SPOILT = 8  # damaged logs of one upload
_ALL = 1 << 62
_SCRATCH_BYTES = 1 << 19


class Scratch:
    """A buffer for reads: fresh pages cost more than the read itself."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_SCRATCH_BYTES))

    def take(self, byte_count: int) -> memoryview:
        """Return so many bytes, valid until the next call."""
        return self._buffer[:byte_count] if byte_count <= _SCRATCH_BYTES else memoryview(bytearray(byte_count))


class SpooledUpload:
    """One connection's logs and their known pieces."""

    def __init__(self, root: str, store: bytes, owner: bytes, scratch: Scratch) -> None:
        self._scratch = scratch
        name = owner.hex()
        self.folder = name[:2]
        self._stem = f"{root}/{self.folder}/{name[2:]}."
        self._place = f"{root}/{self.folder}"
        self._prefix = f"{name[2:]}."
        self.seal = Seal(store, owner)
        self.small_pieces = 0  # written by this process since all was consumed
        self.is_behind = False  # the last look was cut short
        self._doubtful = False  # a tag was bad
        self._spoilt: set[str] = set()  # logs with an invalid end
        self._writers = 0
        self._writer = ""  # of this upload alone, once the process's usual log was damaged
        self._forget()

    def _forget(self) -> None:
        self.extents = Extents()
        self._paths: list[str] = []  # by the numbers of the logs
        self._read: dict[str, tuple[int, int]] = {}  # each log's number, and the end of what was read

    def path(self, host: str, writer: str) -> str:
        """Return the log of that writer, or a replacement for a damaged one; SpoolFull when too many are damaged."""
        path = f"{self._stem}{host}.{self._writer or writer}"
        if path in self._spoilt:
            if self._writers >= _MOST_SPOILT:
                raise SpoolFull
            self._writers += 1
            self._writer = os.urandom(8).hex()
            path = f"{self._stem}{host}.{self._writer}"
        return path

    def spoil(self, path: str) -> None:
        self._spoilt.add(path)

    @property
    def has_most_logs(self) -> bool:
        return len(self._paths) >= MOST_LOGS

    def is_fresh(self, path: str) -> bool:
        """Return True for a log that does not exist yet."""
        return path not in self._read and not Path(path).exists()

    def note_written(self, path: str, written: Record, end: int) -> None:
        """Note a piece that this process wrote at the end of its log: it need not be read."""
        if self._read.get(path, (0, FIRST))[1] == written.position:
            self._add(path, written, end)

    def holds(self, start: int, stop: int) -> bool:
        """Return True when logs have all of [start, stop) now; InputBusy when too many records are unread."""
        if self.extents.reach(start, stop) < stop or not all(map(self._stands, self._read)):
            self.look(LOOK_RECORDS)
        return self._knows(start, stop)

    def _knows(self, start: int, stop: int) -> bool:
        """Return True when all of [start, stop) was found, False when it is missing; InputBusy when that is unknown."""
        known = self.extents.reach(start, stop) >= stop
        if not known and self.is_behind:
            raise InputBusy("not all of the logs were read")
        return known

    def _stands(self, path: str) -> bool:
        """Return True when that log is not shorter than what was read of it."""
        try:
            return os.stat(path).st_size >= self._read[path][1]  # noqa: PTH116 - for each commit: a Path takes as long
        except OSError:
            return False

    def read(self, start: int, stop: int, most_pieces: int | None = None) -> tuple[bytes, int]:
        """Return input from `start` up to the first hole, or of so many pieces; and the count of pieces.

        InputBusy when more records must be read to find them, after a large upload was forgotten or a log found
        damaged: then read again.
        """
        if self.extents.reach(start, stop) < stop:
            self.look(LOOK_RECORDS)
        self._knows(start, stop)
        try:
            return self._gathered(start, stop, most_pieces)
        except OSError:  # a log is gone or damaged: read the rest, and check all tags
            self._doubtful = True
            self._forget()
            self.look(LOOK_RECORDS)
        self._knows(start, stop)
        with suppress(OSError):
            return self._gathered(start, stop, most_pieces)
        return b"", 0

    def _gathered(self, start: int, stop: int, most_pieces: int | None) -> tuple[bytes, int]:
        found = list(islice(self.extents.covering(start, stop), most_pieces))
        runs = list(_runs(found))
        space = self._scratch.take(sum(span(run) for _, run in runs))
        parts: list[Buffer] = []
        with closing(Descriptors()) as descriptors:
            for log, run in runs:
                view, space = space[: span(run)], space[span(run) :]
                parts += pieces(descriptors.of(self._paths[log]), self.seal, run, view)
        at = start
        for index, (record, _) in enumerate(found):  # each begins where the last one ended
            if record.start < at or record.stop > stop:
                parts[index] = parts[index][at - record.start : stop - record.start]
            at = record.stop
        return b"".join(parts), len(found)

    def host_at(self, offset: int) -> str:
        """Return the host of the piece with that byte; empty when there is none."""
        for _, log in self.extents.covering(offset, offset + 1):
            return self._paths[log].split(".")[-2]
        return ""

    def logs(self) -> list[str]:
        try:
            with os.scandir(self._place) as entries:
                return [entry.path for entry in entries if entry.name.startswith(self._prefix)]
        except OSError:
            return []

    def look(self, most_records: int = _ALL) -> int:
        """Read at most so many new records; return how many. Read all again when a log has vanished."""
        paths, left = self.logs(), most_records
        if not all(map(self._stands, self._read)):
            self._forget()
        for path in paths[:MOST_LOGS]:
            with suppress(OSError), opened(path, os.O_RDONLY) as descriptor:
                left -= self._look_at(path, descriptor, left)
        self.is_behind = not left
        return most_records - left

    def _look_at(self, path: str, descriptor: int, most_records: int) -> int:
        _, end = self._read.get(path, (0, 0))
        count, added = 0, records(descriptor, self.seal, end, checked=self._doubtful)
        for record, end in islice(added, most_records):
            self._add(path, record, end)
            count += 1
        if count < most_records and max(end, FIRST) != os.fstat(descriptor).st_size:
            self.spoil(path)
        return count

    def _add(self, path: str, record: Record, end: int) -> None:
        known = self._read.get(path)
        number = len(self._paths) if known is None else known[0]
        if known is None:
            self._paths.append(path)
        self._read[path] = number, end
        self.extents.add(record, number)


def _runs(found: list[tuple[Record, int]]) -> Iterator[tuple[int, list[Record]]]:
    """Yield runs of consecutive records, each with the number of its log."""
    run: list[Record] = []
    of = -1
    for record, log in found:
        if run and log == of and follows(record, run[-1]):
            run.append(record)
            continue
        if run:
            yield of, run
        run, of = [record], log
    if run:
        yield of, run
