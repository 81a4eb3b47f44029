"""New code without a new start: when files change the replicas are killed one by one, each once the last is back.

Nobody who is served notices; that is how these servers are deployed, and here it is done for every change.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from trickles.command import one_line
from trickleweb.cli.child import Child
from trickleweb.cli.launch import READ_BYTES, launched

SUFFIXES = frozenset({".py", ".html", ".jinja", ".jinja2", ".j2", ".toml"})
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
_PAUSE_S = 0.4
_LOAD_S = 60.0  # that a program may take to be imported
Snapshot = dict[str, tuple[int, int]]


class Reloader:
    """Watches a folder from now on. `try_words` is a command line that ends well if the new code can be loaded."""

    def __init__(self, folder: Path, try_words: Sequence[str]) -> None:
        self._folder = folder
        self._try_words = try_words
        self._seen = snapshot(folder)

    async def keep(self, replicas: Sequence[Child], tell: Callable[[str], None]) -> None:
        """Replace the replicas after every change, for good. Code that cannot be loaded leaves those there are."""
        while True:
            found = await self._changed(self._seen)
            tell(f"{first_difference(self._seen, found, self._folder)} has changed")
            self._seen = found
            problem = await self._problem()
            if problem:
                tell(f"the replicas stay as they are: {problem}")
                continue
            for replica in replicas:
                await replica.replaced()
            tell("all replicas run the new code")

    async def _changed(self, seen: Snapshot) -> Snapshot:
        """What is there when it differs from what was seen, and has stopped changing."""
        before = seen
        while True:
            await asyncio.sleep(_PAUSE_S)
            found = await asyncio.to_thread(snapshot, self._folder)
            if found == before != seen:
                return found
            before = found

    async def _problem(self) -> str:
        """Why the code as it is now cannot be loaded; "" if it can."""
        trial = await launched(self._try_words)
        finished = False
        try:
            saying = asyncio.gather(_last_of(trial.errors), _last_of(trial.output))
            async with asyncio.timeout(_LOAD_S):
                told, _ = await saying
            finished = True
        except TimeoutError:
            return f"loading takes more than {_LOAD_S:.0f} s"
        finally:
            if not finished:
                trial.kill()
            await trial.wait()
            trial.close()
        lines = told.decode("utf-8", "replace").strip().splitlines()
        return one_line(lines[-1].partition(": ")[2] if lines else "it ended") if trial.returncode else ""


async def _last_of(source: asyncio.StreamReader) -> bytes:
    """The end of what a process says."""
    said = b""
    while data := await source.read(READ_BYTES):
        said = (said + data)[-READ_BYTES:]
    return said


def snapshot(folder: Path) -> Snapshot:
    """The files that code is made of, below a folder: when they changed, and their sizes."""
    return dict(_stamped(str(folder)))


def first_difference(before: Snapshot, after: Snapshot, folder: Path) -> str:
    """The name of one file that is not as it was."""
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return os.path.relpath(changed[0], folder) if changed else "nothing"


def _stamped(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        for place in (Path(path, name) for name in files):
            if place.suffix in SUFFIXES:
                with suppress(OSError):  # gone meanwhile
                    status = place.stat()
                    yield str(place), (status.st_mtime_ns, status.st_size)
