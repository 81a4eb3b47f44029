"""A copy of the keys that a fleet made in its run directory, to restore them when they are removed or damaged.

Without them a dead replica could not be restarted, and one with fresh keys would know no client. The copy is taken once
the files have not changed between two checks, so that a removal under way is not copied. Files that stay unchanged for
some checks and are no keyring are moved aside, to a directory that keeps the last such ones.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from trickles.drivers.keystore import load_keyring
from trickles.drivers.keystore.directory import is_key_file, signature
from trickles.drivers.keystore.files import MAX_FILE_BYTES
from trickles.drivers.ownership import read_whole
from trickles.errors import KeyringError

_PUBLIC_MODE, _SECRET_MODE = 0o644, 0o600
_PUBLIC_SUFFIX = ".pub"
DAMAGED_LOOKS = 6  # checks without a change before damaged files are moved: a copy under way is done by then


class KeyCopy:
    """The copy of one directory; call `look` about every second."""

    def __init__(self, directory: Path) -> None:
        """Copy the files; raise OSError, or KeyringError if they are no keyring."""
        self._directory = directory
        self._seen = self._copied = signature(directory)
        self._damaged_looks = 0
        self._files = self._read()

    def look(self) -> str | None:
        """Restore the files if they are gone or damaged, or copy changes; return a report for people."""
        if not self._directory.exists():
            self._restore()
            return f"{self._directory} was removed: its keys have been restored"
        seen = signature(self._directory)
        settled, self._seen = seen == self._seen, seen
        if not settled or seen == self._copied:
            self._damaged_looks = 0
            return None
        try:
            self._files = self._read()
        except (KeyringError, OSError) as error:  # no replica could use it
            self._damaged_looks += 1
            return self._set_aside(str(error)) if self._damaged_looks >= DAMAGED_LOOKS else None
        self._copied = seen
        return None

    def _set_aside(self, why: str) -> str:
        aside = self._directory.with_name(f"{self._directory.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        self._directory.rename(aside)
        self._restore()
        return f"{why}: its keys have been restored, and the damaged files are in {aside}"

    def _read(self) -> dict[str, bytes]:
        load_keyring(self._directory)
        names = [path for path in self._directory.iterdir() if is_key_file(path.name)]
        return {path.name: read_whole(path, MAX_FILE_BYTES) for path in names}

    def _restore(self) -> None:
        """Restore the directory in one step, for replicas that read it at that time."""
        fresh = self._directory.with_name(f".{self._directory.name}.{os.getpid()}.restored")
        fresh.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in self._files.items():
            mode = _PUBLIC_MODE if name.endswith(_PUBLIC_SUFFIX) else _SECRET_MODE
            descriptor = os.open(fresh / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        fresh.rename(self._directory)
        self._damaged_looks = 0
        self._seen = self._copied = signature(self._directory)
