"""The room in a folder of stored responses: who may store how much more, and the removal of files.

Each replica counts the files of all about once a second, and sooner when a response finds no room; it adds what it
stores itself in between. So several replicas together may exceed a bound by what they store in a second; the disk
itself is the last bound.

Nothing is refused for the sake of files that nobody uses. A file is in use while its writer holds it open, and for
`least_idle_s` after its end or its last use by a reader. Of the others a sweep removes those that are idle for long,
and above three quarters of a bound the least recently used ones. So a store is full only when its files are in use.

Each response is promised `most_promised_bytes` before its program runs, and gets these without a further question. The
last sixteenth of the bound is for promises alone: a few long responses cannot keep out all short ones.

The time of a file's last use is its mtime, by the clock of the machine since its boot, which no one sets. A file with a
time in the future was left by a killed writer, or written since: it counts as used now.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from trickles.drivers.spooldir.tally import NOTHING, Tally, Usage
from trickleweb.errors import ResponseStoreFull
from trickleweb.response_store import ResponseBounds
from trickleweb.stores.response_files import HEADER_BYTES, is_held

_NAME = re.compile(r"[0-9a-f]{32}\.(?P<client>(?:[0-9a-f]{2}){0,16})")
_FOLDER = ""  # all files lie in one
_PROMISED_PART = 16  # of the bytes of a client, for promises alone


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseAges:
    """Times after which files are removed, and for which writers wait, in seconds."""

    most_idle_s: float = 600.0  # since it was last used: clients ask again within seconds, or when they are back
    least_idle_s: float = 15.0  # the same where room is needed: a client that still reads asks sooner
    most_kept_s: float = 24 * 3600.0  # since its begin; then no use counts: a client may read a byte a second
    most_crowded_kept_s: float = 3600.0  # the same while more than three quarters of the room are used
    most_wait_s: float = 20.0  # for room to store more of a response; then it is cut


class Room:
    """Usage of a folder, counted now and then, and the bounds."""

    def __init__(self, bounds: ResponseBounds, ages: ResponseAges) -> None:
        self._bounds = bounds
        self._ages = ages
        self._tally = Tally()
        self._begun: Counter[bytes] = Counter()  # of this process, without a file yet
        self._promised = Tally()  # of this process: bytes that were promised and are not stored yet
        self._most = bounds_within(bounds, bounds.most_total_bytes)

    @property
    def promised_bytes(self) -> int:
        """The bytes that one more response and those that are being stored may still store."""
        return self._promised.total.byte_count + self._promise_bytes

    def begin(self, client: bytes) -> int:
        """Admit a response of that client, and return the bytes promised to it; `ResponseStoreFull` without room."""
        most, own, total = self._most, self._tally.of(client.hex()), self._tally.total
        if own.logs + self._begun[client] >= most.client.logs:
            raise ResponseStoreFull("this client has too many stored responses")
        if total.logs + self._begun.total() >= most.total.logs:
            raise ResponseStoreFull("too many responses are stored")
        promised = self._promise_bytes
        if promised > self._left(client):
            raise ResponseStoreFull("the stored responses leave no room")
        self._begun[client] += 1
        self._promised.add(_FOLDER, client.hex(), promised, 1)
        return promised

    def started(self, client: bytes) -> None:
        """Note that a response which was begun has a file, or will have none."""
        self._begun[client] -= 1
        if not self._begun[client]:
            del self._begun[client]

    def end(self, client: bytes, promised: int) -> None:
        """Note that a response ends without so many of its promised bytes."""
        self._promised.add(_FOLDER, client.hex(), -promised, -1)

    def take(self, client: bytes, byte_count: int, promised: int, files: int = 0) -> None:
        """Count bytes that are about to be stored, so many of them promised; `ResponseStoreFull` without room."""
        room = self._left(client) - self._most.client.byte_count // _PROMISED_PART
        if byte_count > promised and byte_count - promised > room:
            raise ResponseStoreFull("the stored responses leave no room")
        self._promised.add(_FOLDER, client.hex(), -promised, 0)
        self._tally.add(_FOLDER, client.hex(), byte_count, files)

    def recount(self, counted: Counted) -> None:
        """Replace the usage and the bounds by those of a sweep."""
        self._tally.replace(_FOLDER, counted.usage)
        self._most = counted.most

    def is_kept(self, begun_s: float, now: float) -> bool:
        """Return True while the use of a response that began then keeps it."""
        ages, is_crowded = self._ages, self._most.total.is_crowded(self._tally.total)
        return now - begun_s <= (ages.most_crowded_kept_s if is_crowded else ages.most_kept_s)

    @property
    def _promise_bytes(self) -> int:
        return min(self._bounds.most_promised_bytes, self._most.client.byte_count // _PROMISED_PART)

    def _left(self, client: bytes) -> int:
        most, name = self._most, client.hex()
        own = most.client.byte_count - self._tally.of(name).byte_count - self._promised.of(name).byte_count
        return min(most.total.byte_count - self._tally.total.byte_count - self._promised.total.byte_count, own)


class Bound(NamedTuple):
    """Bytes, and the files with them."""

    byte_count: int
    logs: int

    def is_crowded(self, used: Usage) -> bool:
        """Return True for more than three quarters of the bound."""
        return 4 * used.byte_count > 3 * self.byte_count or 4 * used.logs > 3 * self.logs


class Most(NamedTuple):
    """Bounds of all clients together, and of one."""

    total: Bound
    client: Bound


class Counted(NamedTuple):
    """Result of a sweep: the usage by client, and the bounds as the disk allows them now."""

    usage: dict[str, Usage]
    most: Most


class _File(NamedTuple):
    """A file of the folder, in the order of last use."""

    used_s: float
    path: str
    client: str
    byte_count: int


def bounds_within(bounds: ResponseBounds, most_bytes: int) -> Most:
    """Return the bounds where no more than so many bytes can be stored; clients have the same part of them."""
    total = min(bounds.most_total_bytes, most_bytes)
    own = bounds.most_client_bytes * total // max(bounds.most_total_bytes, 1)
    return Most(Bound(total, bounds.most_responses), Bound(own, bounds.most_client_responses))


def swept(root: str, now: float, bounds: ResponseBounds, ages: ResponseAges) -> Counted:
    """Remove files that are idle for long, and where room is needed the least recently used ones; OSError.

    Return what the others use. All together use at most half of what the disk has for them.
    """
    files = [each for each in _files(root, now) if now - each.used_s <= ages.most_idle_s or not _removed(each.path)]
    usage: dict[str, Usage] = {}
    for each in files:
        usage[each.client] = usage.get(each.client, NOTHING).plus(each.byte_count, 1)
    disk, used = os.statvfs(root), sum(each.byte_count for each in files)
    most = bounds_within(bounds, (used + disk.f_bavail * disk.f_frsize) // 2)
    _make_room(files, usage, most, now - ages.least_idle_s)
    return Counted(usage, most)


def _make_room(files: list[_File], usage: dict[str, Usage], most: Most, before_s: float) -> None:
    """Remove the least recently used files, last used before that time, of all or of clients that are crowded."""
    total = Usage(sum(each.byte_count for each in usage.values()), sum(each.logs for each in usage.values()))
    if not (most.total.is_crowded(total) or any(map(most.client.is_crowded, usage.values()))):
        return
    for each in sorted(each for each in files if each.used_s < before_s):
        is_crowded = most.total.is_crowded(total) or most.client.is_crowded(usage[each.client])
        if is_crowded and _removed(each.path):
            total = total.plus(-each.byte_count, -1)
            usage[each.client] = usage[each.client].plus(-each.byte_count, -1)


def _files(root: str, now: float) -> Iterator[_File]:
    with os.scandir(root) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found is None:
                continue
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if status.st_mtime > now:
                    os.utime(entry.path, (now, now), follow_symlinks=False)
                size = max(status.st_size - HEADER_BYTES, 0)
                yield _File(min(status.st_mtime, now), entry.path, found["client"], size)


def _removed(path: str) -> bool:
    """Remove a file unless its writer holds it, or it cannot be removed; return whether it is gone."""
    if is_held(path):
        return False
    with suppress(OSError):
        Path(path).unlink(missing_ok=True)
        return True
    return False


def file_name(name: bytes) -> str:
    """Return the name of a response's file; empty for a name that no response has."""
    text = f"{name[:16].hex()}.{name[16:].hex()}"
    return text if _NAME.fullmatch(text) else ""
