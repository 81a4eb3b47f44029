"""Spools in directories for tests: owners, hosts, a clock, and what can happen to a directory."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

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
