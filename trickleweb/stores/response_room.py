"""The room in a folder of stored responses: who may store how much more, and the removal of old files.

Each replica counts the files of all about once a second, and adds what it stores itself in between. So several replicas
together may exceed a bound by what they store in a second; the disk itself is the last bound.

A file's age counts from its last change, or from its last use by a reader (`StoredFile.touch`): a response is kept
while its client asks for it, up to `most_kept_s` after its begin. One that its writer holds open is never removed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trickles.drivers.spooldir.tally import NOTHING, Tally, Usage
from trickleweb.errors import ResponseStoreFull
from trickleweb.response_store import ResponseBounds
from trickleweb.stores.response_files import HEADER_BYTES, is_held

_NAME = re.compile(r"[0-9a-f]{32}\.(?P<client>(?:[0-9a-f]{2}){0,16})")
_FOLDER = ""  # all files lie in one


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseAges:
    """Times after which files are removed, in seconds."""

    most_idle_s: float = 600.0  # since it was last used: clients ask again within seconds, or when they are back
    most_crowded_idle_s: float = 60.0  # the same, once half of the space or of the files is used
    most_kept_s: float = 24 * 3600.0  # since its begin; then no use counts: a client may read a byte a second
    most_crowded_kept_s: float = 3600.0


class Room:
    """Usage of a folder, counted now and then, and the bounds."""

    def __init__(self, bounds: ResponseBounds, ages: ResponseAges) -> None:
        self._bounds = bounds
        self._ages = ages
        self._tally = Tally()
        self._begun: Counter[bytes] = Counter()  # of this process, without a file yet
        self._most_total = bounds.most_total_bytes

    def begin(self, client: bytes) -> None:
        """Admit a response of that client; `ResponseStoreFull` when there is no room."""
        bounds, own, total = self._bounds, self._tally.of(client.hex()), self._tally.total
        if own.logs + self._begun[client] >= bounds.most_client_responses:
            raise ResponseStoreFull("this client has too many stored responses")
        if total.logs + self._begun.total() >= bounds.most_responses:
            raise ResponseStoreFull("too many responses are stored")
        if self._left(client) <= 0:
            raise ResponseStoreFull("the stored responses leave no room")
        self._begun[client] += 1

    def end(self, client: bytes) -> None:
        """Note that a response which was begun has a file, or will have none."""
        self._begun[client] -= 1
        if not self._begun[client]:
            del self._begun[client]

    def take(self, client: bytes, byte_count: int, files: int = 0) -> None:
        """Count bytes that are about to be stored; `ResponseStoreFull` when they exceed a bound."""
        if byte_count > self._left(client):
            raise ResponseStoreFull("the stored responses leave no room")
        self._tally.add(_FOLDER, client.hex(), byte_count, files)

    def recount(self, counted: dict[str, Usage], free_bytes: int) -> None:
        """Replace the usage by what was counted; at most half of what the disk has for it is used."""
        self._tally.replace(_FOLDER, counted)
        self._most_total = min(self._bounds.most_total_bytes, (self._tally.total.byte_count + free_bytes) // 2)

    @property
    def is_crowded(self) -> bool:
        total = self._tally.total
        return 2 * total.byte_count > self._most_total or 2 * total.logs > self._bounds.most_responses

    def is_kept(self, begun_s: float, now: float) -> bool:
        """Return True while the use of a response that began then keeps it."""
        ages = self._ages
        return abs(now - begun_s) <= (ages.most_crowded_kept_s if self.is_crowded else ages.most_kept_s)

    @property
    def most_idle_s(self) -> float:
        return self._ages.most_crowded_idle_s if self.is_crowded else self._ages.most_idle_s

    def _left(self, client: bytes) -> int:
        own = self._bounds.most_client_bytes - self._tally.of(client.hex()).byte_count
        return min(self._most_total - self._tally.total.byte_count, own)


def swept(root: str, now: float, most_idle_s: float) -> dict[str, Usage]:
    """Remove files that were not used for so long, and return the usage of the others by client; OSError."""
    counted: dict[str, Usage] = {}
    with os.scandir(root) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found is None:
                continue
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if abs(now - status.st_mtime) > most_idle_s and not is_held(entry.path):
                    Path(entry.path).unlink()
                    continue
                usage = counted.get(found["client"], NOTHING)
                counted[found["client"]] = usage.plus(max(status.st_size - HEADER_BYTES, 0), 1)
    return counted


def file_name(name: bytes) -> str:
    """Return the name of a response's file; empty for a name that no response has."""
    text = f"{name[:16].hex()}.{name[16:].hex()}"
    return text if _NAME.fullmatch(text) else ""
