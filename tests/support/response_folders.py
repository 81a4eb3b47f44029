"""Stores of responses in a folder, for tests."""

import os
from collections.abc import Callable
from pathlib import Path

from trickleweb.response_store import ResponseWriter
from trickleweb.stores import FolderResponses

HOST = b"12345678"
Store = Callable[..., FolderResponses]


async def begun(store: FolderResponses, *data: bytes) -> ResponseWriter:
    writer = await store.begin(client=HOST)
    await writer.start(b"head")
    for piece in data:
        await writer.append(piece)
    return writer


async def finished(store: FolderResponses, *data: bytes) -> bytes:
    writer = await begun(store, *data)
    await writer.append(b"", last=True)
    writer.close()
    return writer.name


def files(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.name != "identity"]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def age(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


async def swept(store: FolderResponses) -> None:
    """Let the store sweep, and note what it found."""
    await store._sweeps.fresh()
