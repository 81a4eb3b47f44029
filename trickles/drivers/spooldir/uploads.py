"""The uploads of which this process knows where their pieces are: soft state, bounded by the count of pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from trickles.drivers.spooldir.extents import MOST_LOGS, Extents
from trickles.drivers.spooldir.log import FIRST, Record, Seal, follows, opened, pieces, records, span
from trickles.service import Buffer

_SCRATCH_BYTES = 1 << 19


class Scratch:
    """Memory to read into, used again and again: fresh pages cost more than what is read into them."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_SCRATCH_BYTES))

    def take(self, byte_count: int) -> memoryview:
        """So many bytes, whose content is of no use once this is called again."""
        return self._buffer[:byte_count] if byte_count <= _SCRATCH_BYTES else memoryview(bytearray(byte_count))


class Upload:
    """One connection's logs and what is in them, as far as they were read."""

    def __init__(self, root: str, store: bytes, owner: bytes, scratch: Scratch) -> None:
        self._scratch = scratch
        name = owner.hex()
        self.folder = name[:2]
        self._stem = f"{root}/{self.folder}/{name[2:]}."
        self._place = f"{root}/{self.folder}"
        self._prefix = f"{name[2:]}."
        self.seal = Seal(store, owner)
        self.small_pieces = 0  # that this process has written since all was consumed
        self._doubtful = False  # a piece did not fit its tag
        self._forget()

    def _forget(self) -> None:
        self.extents = Extents()
        self._paths: list[str] = []  # by the numbers of the logs
        self._read: dict[str, tuple[int, int]] = {}  # each log's number, and how far it was read

    def path(self, host: str, writer: str) -> str:
        """The log of that writer."""
        return f"{self._stem}{host}.{writer}"

    def is_fresh(self, path: str) -> bool:
        """True for a log of which nothing is known: it may have to be made."""
        return path not in self._read

    def note_written(self, path: str, written: Record, end: int) -> None:
        """This process has just written a piece into its own log, which ends with it: no need to read it from there."""
        if self._read.get(path, (0, FIRST))[1] == written.position:
            self._add(path, written, end)

    def holds(self, start: int, stop: int) -> bool:
        """True when all of [start, stop) is in logs that are there now."""
        if self.extents.reach(start, stop) < stop or not all(map(self._stands, self._read)):
            self.look()
        return self.extents.reach(start, stop) >= stop

    def _stands(self, path: str) -> bool:
        """True when that log is not shorter than it was read."""
        try:
            return Path(path).stat().st_size >= self._read[path][1]
        except OSError:
            return False

    def read(self, start: int, stop: int) -> bytes:
        """From `start` on as far as there is no hole."""
        if self.extents.reach(start, stop) < stop:
            self.look()
        try:
            return self._gathered(start, stop)
        except OSError:  # a log is gone, or is not what was written: see what is left, and take no header's word
            self._doubtful = True
            self._forget()
            self.look()
        with suppress(OSError):
            return self._gathered(start, stop)
        return b""

    def _gathered(self, start: int, stop: int) -> bytes:
        found = list(self.extents.covering(start, stop))
        runs = list(_runs(found))
        space = self._scratch.take(sum(span(run) for _, run in runs))
        parts: list[Buffer] = []
        descriptors: dict[int, int] = {}
        with ExitStack() as undo:
            for log, run in runs:
                if log not in descriptors:
                    descriptors[log] = undo.enter_context(opened(self._paths[log], os.O_RDONLY))
                view, space = space[: span(run)], space[span(run) :]
                parts += pieces(descriptors[log], self.seal, run, view)
        at = start
        for index, (record, _) in enumerate(found):  # each begins where the one before has ended
            if record.start < at or record.stop > stop:
                parts[index] = parts[index][at - record.start : stop - record.start]
            at = record.stop
        return b"".join(parts)

    def logs(self) -> list[str]:
        """The paths of all of this connection's logs."""
        try:
            with os.scandir(self._place) as entries:
                return [entry.path for entry in entries if entry.name.startswith(self._prefix)]
        except OSError:
            return []

    def look(self) -> None:
        """Read what was added to the logs; forget all where one has vanished."""
        paths = self.logs()
        if not all(map(self._stands, self._read)):
            self._forget()
        for path in paths[:MOST_LOGS]:
            with suppress(OSError), opened(path, os.O_RDONLY) as descriptor:
                _, position = self._read.get(path, (0, 0))
                for record, end in records(descriptor, self.seal, position, checked=self._doubtful):
                    self._add(path, record, end)

    def _add(self, path: str, record: Record, end: int) -> None:
        known = self._read.get(path)
        number = len(self._paths) if known is None else known[0]
        if known is None:
            self._paths.append(path)
        self._read[path] = number, end
        self.extents.add(record, number)


def _runs(found: list[tuple[Record, int]]) -> Iterator[tuple[int, list[Record]]]:
    """Those that can be read at once, with the number of their log."""
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
