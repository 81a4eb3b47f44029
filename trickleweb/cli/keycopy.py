"""A copy of the keys that a fleet made in its run directory: where they are removed or damaged, they are put back.

Without them a replica that dies could not be started again, and one that is started with fresh keys would know no
client. The copy is taken once the files rest, from a look to the next, so that a removal under way is not copied.
Files that have rested for some looks and are no keyring are set aside, in a directory that keeps the last such ones.
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
DAMAGED_LOOKS = 6  # that files which are no keyring must have rested: who copies others there has finished by then


class KeyCopy:
    """Of one directory; call `look` about every second."""

    def __init__(self, directory: Path) -> None:
        """Copy what is there; OSError, or KeyringError when it is no keyring."""
        self._directory = directory
        self._seen = self._copied = signature(directory)
        self._damaged_looks = 0
        self._files = self._read()

    def look(self) -> str | None:
        """Put the files back if they are gone or damaged, or copy what has changed; what happened, for people."""
        if not self._directory.exists():
            self._restore()
            return f"{self._directory} was removed: its keys have been put back"
        seen = signature(self._directory)
        settled, self._seen = seen == self._seen, seen
        if not settled or seen == self._copied:
            self._damaged_looks = 0
            return None
        try:
            self._files = self._read()
        except (KeyringError, OSError) as error:  # as it is now no replica could use it: better what was there before
            self._damaged_looks += 1
            return self._set_aside(str(error)) if self._damaged_looks >= DAMAGED_LOOKS else None
        self._copied = seen
        return None

    def _set_aside(self, why: str) -> str:
        aside = self._directory.with_name(f"{self._directory.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        self._directory.rename(aside)
        self._restore()
        return f"{why}: its keys have been put back, and what was there is in {aside}"

    def _read(self) -> dict[str, bytes]:
        load_keyring(self._directory)
        names = [path for path in self._directory.iterdir() if is_key_file(path.name)]
        return {path.name: read_whole(path, MAX_FILE_BYTES) for path in names}

    def _restore(self) -> None:
        """In one step, for replicas that look meanwhile."""
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
