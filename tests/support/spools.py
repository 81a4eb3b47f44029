"""Spools in directories for tests: owners, hosts, a clock, and what can happen to a directory."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from trickles.errors import InputBusy
from trickles.promise import Promise
from trickles.service import Buffer
from trickles.spool import Kept, MemorySpool, SpoolFull

ONE, TWO = bytes.fromhex("ab" + 31 * "01"), bytes.fromhex("ab" + 31 * "02")
HOST, OTHER_HOST = b"\0\0\0\0\xc0\0\x02\x01", b"\0\0\0\0\xc0\0\x02\x02"


class Clock:
    """Seconds that pass when told."""

    def __init__(self, at: float | None = None) -> None:
        self.at = float(int(time.time())) if at is None else at  # files have the system's times: not far from them

    def __call__(self) -> float:
        return self.at


def logs(root: Path, owner: bytes = b"") -> list[Path]:
    """All logs there, or those of one owner."""
    name = owner.hex()
    return sorted(path for path in root.glob("??/*.*.*") if f"{path.parent.name}{path.name}".startswith(name))


def age(root: Path, seconds: float, owner: bytes = b"") -> None:
    """Let logs look as if they were written last at that time."""
    for path in logs(root, owner):
        os.utime(path, (seconds, seconds))


def copied(root: Path, place: Path) -> Path:
    """A copy of a directory as a backup is, with all that tools can keep."""
    shutil.copytree(root, place, copy_function=shutil.copy2)
    return place


def put_back(backup: Path, root: Path) -> None:
    """Put a backup in the place of a directory."""
    shutil.rmtree(root)
    copied(backup, root)


def cut(data: bytes, sizes: Iterator[int]) -> list[tuple[int, bytes]]:
    """Pieces of data, each with its offset."""
    pieces, at = [], 0
    while at < len(data):
        size = next(sizes)
        pieces.append((at, data[at : at + size]))
        at += size
    return pieces


class LaterSpool:
    """A spool as over a network: `later` calls back after a while. Input is fetched before it is held or read."""

    def __init__(self, store: MemorySpool, later: Callable[[Callable[[], object]], object]) -> None:
        self._store = store
        self._later = later
        self._fetched: set[tuple[bytes, int, int]] = set()

    @property
    def identity(self) -> bytes:
        """That of the store."""
        return self._store.identity

    def write(self, owner: bytes, host: bytes, offset: int, data: Buffer) -> Promise[Kept]:
        """Keep it later."""
        kept: Promise[Kept] = Promise()

        def arrived() -> None:
            try:
                kept.resolve(self._store.write(owner, host, offset, data))
            except SpoolFull as full:
                kept.resolve(full)

        self._later(arrived)
        return kept

    def holds(self, owner: bytes, start: int, stop: int) -> bool:
        """Whether it does, once that was fetched."""
        self._fetch(owner, start, stop)
        return self._store.holds(owner, start, stop)

    def read(self, owner: bytes, start: int, stop: int, most_pieces: int | None = None) -> bytes:
        """Read it, once it was fetched."""
        self._fetch(owner, start, stop)
        return self._store.read(owner, start, stop, most_pieces)

    def discard(self, owner: bytes, below: int) -> None:
        """Forget what was fetched."""
        self._fetched = {each for each in self._fetched if each[0] != owner}

    def _fetch(self, owner: bytes, start: int, stop: int) -> None:
        if (key := (owner, start, stop)) not in self._fetched:
            ready: Promise[None] = Promise()

            def arrived() -> None:
                self._fetched.add(key)
                ready.resolve(None)

            self._later(arrived)
            raise InputBusy("it is being fetched", ready)
