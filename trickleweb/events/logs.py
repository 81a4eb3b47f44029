"""Events of a log file that grows and is rotated: each complete line is one.

An id is the file's mark and the offset after the line. The mark is the inode with a checksum of the first line, so a
stream finds its file again under the name that rotation gave it (`rotated`), reads it to the end, and goes on with the
file that took its place. A file that is gone, or was truncated, is a gap: the stream goes on with the present file.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from trickleweb.bodies.events import EventGap, EventPage, ServerSentEvent
from trickleweb.events.lists import number_of
from trickleweb.plain import Plain

MAX_LINE_BYTES = 64 << 10  # a longer line is cut: an event is held whole
_PAGE_BYTES = 256 << 10
_MARK_BYTES = 1024


class LogEvents:
    """The lines of a file; `rotated` is the path of the file before it, by default `path.1`.

    The files are looked at each `every` seconds, once for all streams. Replicas must see the same files.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, rotated: str | os.PathLike[str] | None = None, every: float = 0.25
    ) -> None:
        self._path = Path(path)
        self._rotated = self._path.with_name(self._path.name + ".1") if rotated is None else Path(rotated)
        self._every = every

    async def read(self, after: str, most: int, /, **_: Plain) -> EventPage:
        return EventPage(await asyncio.to_thread(self._lines, after, most))

    async def wait(self, _after: str, /, **_: Plain) -> None:
        """Wait a while: a file does not call."""
        await asyncio.sleep(self._every)

    def _lines(self, after: str, most: int) -> tuple[ServerSentEvent, ...]:
        known, _, offset = after.rpartition(":")
        if not known:
            if after:
                raise EventGap("")
            return _read(self._path, "", 0, most)
        for path in (self._path, self._rotated):
            with suppress(FileNotFoundError):
                found = _read(path, known, number_of(offset), most)
                return found or (_read(self._path, "", 0, most) if path == self._rotated else ())
        raise EventGap("")


def _read(path: Path, known: str, offset: int, most: int) -> tuple[ServerSentEvent, ...]:
    """Return the lines after an offset; raise FileNotFoundError if the file is another one, or shorter."""
    try:
        with path.open("rb") as file:
            mark, size = _mark(file), os.fstat(file.fileno()).st_size
            if known and (mark != known or offset > size):
                raise FileNotFoundError(f"{path} is another file")
            file.seek(offset)
            data = file.read(_PAGE_BYTES)
    except FileNotFoundError:
        if known:
            raise
        return ()
    return _events(data, mark, offset, most)


def _events(data: bytes, mark: str, offset: int, most: int) -> tuple[ServerSentEvent, ...]:
    found: list[ServerSentEvent] = []
    start = 0
    while len(found) < most and start < len(data):
        stop = data.find(b"\n", start, start + MAX_LINE_BYTES) + 1
        if not stop:
            stop = start + MAX_LINE_BYTES
            if stop > len(data):
                break  # the rest of the line is not there yet
        text = data[start:stop].decode("utf-8", "replace").rstrip("\r\n")
        found.append(ServerSentEvent(text, id=f"{mark}:{offset + stop}"))
        start = stop
    return tuple(found)


def _mark(file: BinaryIO) -> str:
    first = file.read(_MARK_BYTES).partition(b"\n")[0]
    return f"{os.fstat(file.fileno()).st_ino:x}-{zlib.crc32(first):x}"
