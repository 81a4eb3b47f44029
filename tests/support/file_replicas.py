"""Replicas over one folder, each with a store and a clock of its own; they hash when a test says so."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.site_folder import LATER_NS, store
from trickleweb.files import HashPending, StoreLimits, disk
from trickleweb.files.hashing import HashJob
from trickleweb.files.manifest import Manifest
from trickleweb.files.restless import PATIENCE_NS
from trickleweb.files.stamps import FileStamp
from trickleweb.files.store import Version

TINY = StoreLimits(small_bytes=0)
DATA = bytes(at * 7 % 251 for at in range(20_000))


def dated(path: Path) -> Path:
    """A file as a kernel dates it: its time has nanoseconds."""
    path.write_bytes(DATA)
    os.utime(path, ns=(10**18 + 1, 10**18 + 1))
    return path


def written_over(file: Path) -> None:
    """Other bytes in the middle of the file."""
    with file.open("r+b") as out:
        out.seek(10_000)
        out.write(b"other bytes")


def written_and_dated_back(file: Path) -> None:
    """The same, and the time set back to what it was."""
    written_over(file)
    os.utime(file, ns=(10**18 + 1, 10**18 + 1))


class Replica:
    """A store over a folder that leaves hashes to `jobs`, with a clock of its own."""

    def __init__(
        self, root: Path, now_ns: Callable[[], int] = lambda: LATER_NS, manifest: Manifest | None = None
    ) -> None:
        self.jobs: list[HashJob] = []
        self.files = store(
            root, limits=TINY, clock_ns=now_ns, defer=self.jobs.append, inline_bytes=0, manifest=manifest
        )

    def look(self, path: str = "a") -> Version:
        found = self.files.look(path)
        assert isinstance(found, Version)
        return found

    def hash(self) -> None:
        while self.jobs:
            with suppress(HashPending):  # changed since
                self.jobs.pop().run()

    def read(self, content: str, start: int = 0, stop: int = len(DATA)) -> bytes:
        return bytes(self.files.read(content, start, stop))


class Writer:
    """Writes to a file, and moves the clock on to the moment of the write."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now = file.stat().st_ctime_ns

    def clock(self) -> int:
        return self.now

    def append(self) -> None:
        with self.file.open("ab") as out:
            out.write(b"a line\n")
        self._date()

    def overwrite(self) -> None:
        written_over(self.file)
        self._date()

    def _date(self) -> None:
        self.now += PATIENCE_NS // 2
        os.utime(self.file, ns=(self.now, self.now))


def changed_when_modified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let change times follow modification times: the kernel's own clock cannot be moved."""
    look_at = disk.look_at

    def dated(path: str | int, folder: int | None = None) -> tuple[FileStamp, bool]:
        stamp, is_folder = look_at(path, folder)
        return stamp._replace(changed_ns=stamp.modified_ns), is_folder

    monkeypatch.setattr(disk, "look_at", dated)
