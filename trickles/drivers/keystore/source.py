"""Where a process has its keyring from: a directory, one file, or the environment; and whether it has changed there."""

from __future__ import annotations

import base64
import logging
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from trickles.drivers.keystore import document
from trickles.drivers.keystore.directory import read_directory, signature
from trickles.drivers.keystore.files import MAX_FILE_BYTES, PRIVATE, errors_as, opened_directory, read_file, write_file
from trickles.errors import KeyringError
from trickles.keyring import Keyring

VARIABLE = "TRICKLES_KEYRING"
_NONE = f"no keyring given: make one with `trickles keys init DIR`, then say --keyring DIR or set {VARIABLE}"
_LOGGER = logging.getLogger("trickles.keyring")


def load_keyring(path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] = os.environ) -> Keyring:
    """The keyring in the directory or file `path`; without one, in the environment variable TRICKLES_KEYRING.

    A directory is as `trickles keys init` makes it; a file is what `trickles keys export --output` writes; the variable
    holds that file's content in base64, as `trickles keys export` prints it. KeyringError, whose text names the fix,
    when it is missing, damaged, of another user, or readable or writable by others.
    """
    if path is None:
        return _from_environment(environ)
    place = Path(path)
    with errors_as(KeyringError, place):
        if stat.S_ISDIR(place.stat().st_mode):
            return read_directory(place)
        data = read_file(place, PRIVATE)
    return document.keyring(document.parse(data, str(place)), str(place))


class KeyringSource:
    """A keyring and where it comes from; `changed` is cheap enough to be asked every second.

    `keyring` is the last good one; `problem` says why what is there now cannot be used, None when it can. A new problem
    is also told to `report`, once.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        report: Callable[[str], None] = _LOGGER.warning,
    ) -> None:
        self._path = None if path is None else Path(path)
        self._report = report
        self._seen = self._signature()  # before reading: what changes meanwhile is seen the next time
        self.problem: str | None = None
        self.keyring = load_keyring(path, environ=environ)

    def changed(self) -> Keyring | None:
        """The new keyring when there is one since the last call, else None; never raises for what it finds."""
        seen = self._signature()
        if self._path is None or (seen == self._seen and self.problem is None):
            return None
        self._seen = seen
        try:
            fresh = load_keyring(self._path)
        except KeyringError as exc:
            self._trouble(f"{exc} (the keyring read before stays in use)")
            return None
        self.problem = None
        if fresh == self.keyring:
            return None
        self.keyring = fresh
        return fresh

    def _signature(self) -> object:
        return None if self._path is None else signature(self._path)

    def _trouble(self, text: str) -> None:
        if text != self.problem:
            self.problem = text
            self._report(text)


def save_keyring(ring: Keyring, path: str | os.PathLike[str]) -> None:
    """Write one file, of mode 0600, that `load_keyring` reads; KeyringError when that fails."""
    target = Path(path)
    with errors_as(KeyringError, target), opened_directory(target.parent, forbidden=0) as inside:
        write_file(target.name, document.render(ring.epochs), 0o600, inside=inside)


def keyring_text(ring: Keyring) -> str:
    """The value for TRICKLES_KEYRING that `load_keyring` reads: secrets, on one line."""
    return base64.b64encode(document.render(ring.epochs)).decode()


def _from_environment(environ: Mapping[str, str]) -> Keyring:
    encoded = environ.get(VARIABLE, "").strip()
    if not encoded:
        raise KeyringError(_NONE)
    if len(encoded) > 2 * MAX_FILE_BYTES:
        raise KeyringError(f"{VARIABLE} is too long to be a keyring")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise KeyringError(f"{VARIABLE} is not base64: set it to what `trickles keys export DIR` prints") from None
    return document.keyring(document.parse(data, VARIABLE), VARIABLE)
