"""Reload code: when files change the replicas are killed one by one, each after the one before is ready again.

No transfer is interrupted. Servers are deployed in the same way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from trickles.printable import one_line
from trickleweb.cli.child import Child
from trickleweb.cli.launch import READ_BYTES, launched

SUFFIXES = frozenset({".py", ".html", ".jinja", ".jinja2", ".j2", ".toml"})
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
_PAUSE_S = 0.4
_LOAD_S = 60.0  # for importing a program
Snapshot = dict[str, tuple[int, int]]


class Reloader:
    """Watches a folder. `try_words` is a command line that succeeds if the new code can be loaded."""

    def __init__(self, folder: Path, try_words: Sequence[str]) -> None:
        self._folder = folder
        self._try_words = try_words
        self._seen = snapshot(folder)

    async def keep(self, replicas: Sequence[Child], report: Callable[[str], None]) -> None:
        """Replace the replicas after every change, until cancelled; keep them if the code cannot be loaded."""
        while True:
            found = await self._changed(self._seen)
            report(f"{first_difference(self._seen, found, self._folder)} has changed")
            self._seen = found
            problem = await self._problem()
            if problem:
                report(f"the replicas are not replaced: {problem}")
                continue
            for replica in replicas:
                await replica.replaced()
            report("all replicas run the new code")

    async def _changed(self, seen: Snapshot) -> Snapshot:
        """Return the new snapshot once it differs from `seen` and has stopped changing."""
        before = seen
        while True:
            await asyncio.sleep(_PAUSE_S)
            found = await asyncio.to_thread(snapshot, self._folder)
            if found == before != seen:
                return found
            before = found

    async def _problem(self) -> str:
        """Return the reason why the code cannot be loaded, "" if it can."""
        trial = await launched(self._try_words)
        finished = False
        try:
            reading = asyncio.gather(_last_of(trial.errors), _last_of(trial.output))
            async with asyncio.timeout(_LOAD_S):
                errors, _ = await reading
            finished = True
        except TimeoutError:
            return f"loading takes more than {_LOAD_S:.0f} s"
        finally:
            if not finished:
                trial.kill()
            await trial.wait()
            trial.close()
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        return one_line(lines[-1].partition(": ")[2] if lines else "it ended") if trial.returncode else ""


async def _last_of(source: asyncio.StreamReader) -> bytes:
    """Return the last bytes of a process's output."""
    last = b""
    while data := await source.read(READ_BYTES):
        last = (last + data)[-READ_BYTES:]
    return last


def snapshot(folder: Path) -> Snapshot:
    """Return the change times and sizes of the source files below a folder."""
    return dict(_stamped(str(folder)))


def first_difference(before: Snapshot, after: Snapshot, folder: Path) -> str:
    """Return the path of one changed file."""
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return os.path.relpath(changed[0], folder) if changed else "nothing"


def _stamped(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        for place in (Path(path, name) for name in files):
            if place.suffix in SUFFIXES:
                with suppress(OSError):  # just removed
                    status = place.stat()
                    yield str(place), (status.st_mtime_ns, status.st_size)
