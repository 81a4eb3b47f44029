"""A copy of the keys that a fleet made in its run directory: where that is removed, they are put back.

Without them a replica that dies could not be started again, and one that is started with fresh keys would know no
client. The copy is taken once the files rest, from a look to the next, so that a removal under way is not copied.
"""

from __future__ import annotations

import os
from pathlib import Path

from trickles.drivers.keystore import load_keyring
from trickles.drivers.keystore.directory import is_key_file, signature
from trickles.errors import KeyringError

_PUBLIC_MODE, _SECRET_MODE = 0o644, 0o600
_PUBLIC_SUFFIX = ".pub"


class KeyCopy:
    """Of one directory; call `look` about every second."""

    def __init__(self, directory: Path) -> None:
        """Copy what is there; OSError, or KeyringError when it is no keyring."""
        self._directory = directory
        self._seen = self._copied = signature(directory)
        self._files = self._read()

    def look(self) -> bool:
        """Put the files back if their directory is gone, or copy what has changed; whether they were put back."""
        if not self._directory.exists():
            self._restore()
            return True
        seen = signature(self._directory)
        settled, self._seen = seen == self._seen, seen
        if settled and seen != self._copied:
            try:
                self._files = self._read()
            except (KeyringError, OSError):  # as it is now no replica could use it: better what was there before
                return False
            self._copied = seen
        return False

    def _read(self) -> dict[str, bytes]:
        load_keyring(self._directory)
        names = [path for path in self._directory.iterdir() if is_key_file(path.name)]
        return {path.name: path.read_bytes() for path in names}

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
        self._seen = self._copied = signature(self._directory)
