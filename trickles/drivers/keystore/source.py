"""Source of a process's keyring: a directory, one file, the environment, a credential of systemd; and changes of it."""

from __future__ import annotations

import base64
import logging
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from trickles.drivers.keystore import document
from trickles.drivers.keystore.directory import hints, read_directory, signature
from trickles.drivers.keystore.files import (
    MAKE_KEYS,
    MAX_FILE_BYTES,
    PRIVATE,
    errors_as,
    opened_directory,
    read_file,
    write_file,
)
from trickles.errors import KeyringError
from trickles.keyring import Keyring

VARIABLE = "TRICKLES_KEYRING"
CREDENTIAL = "trickles.keyring"  # in the directory that systemd makes for LoadCredential=
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_NONE = f"no keyring given: make one with `trickles keys init DIR`, then give --keyring DIR or set {VARIABLE}"
_LOGGER = logging.getLogger("trickles.keyring")


def load_keyring(path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] = os.environ) -> Keyring:
    """Load the keyring in the directory or file `path`; without one, in the environment variable TRICKLES_KEYRING, else
    in the credential `trickles.keyring` of the systemd unit.

    A directory is made by `trickles keys init`, or a secret that Kubernetes has mounted; a file is made by `trickles
    keys export --output`; the variable holds that file's content in base64, as `trickles keys export` prints it; the
    credential is such a file. KeyringError, whose text names the fix, when it is missing, damaged, of another user, or
    readable or writable by others.
    """
    place = _place(path, environ)
    if place is None:
        return _from_environment(environ)
    with errors_as(KeyringError, place, missing=MAKE_KEYS), hints(place):
        if stat.S_ISDIR(place.stat().st_mode):
            return read_directory(place)
        data = read_file(place, PRIVATE)
    return document.keyring(document.parse(data, str(place)), str(place))


class KeyringSource:
    """A keyring and its place; `changed` is cheap enough for every second.

    `keyring` is the last valid one; `problem` says why the present one cannot be used, or is None. A new problem is
    reported once.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        report: Callable[[str], None] = _LOGGER.warning,
    ) -> None:
        self._path = _place(path, environ)
        self._report = report
        self._seen = self._signature()  # before reading: later changes are seen next time
        self.problem: str | None = None
        self.keyring = load_keyring(path, environ=environ)

    def changed(self) -> Keyring | None:
        """Return the new keyring if there is one since the last call, else None; problems are reported, not raised."""
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
    """Write one file, with mode 0600, that `load_keyring` reads; KeyringError when that fails."""
    target = Path(path)
    with errors_as(KeyringError, target), opened_directory(target.parent, forbidden=0) as inside:
        write_file(target.name, document.render(ring.epochs), 0o600, inside=inside)


def keyring_text(ring: Keyring) -> str:
    """Return the value for TRICKLES_KEYRING that `load_keyring` reads: secrets, on one line."""
    return base64.b64encode(document.render(ring.epochs)).decode()


def _place(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path | None:
    """Return the directory or file to read, None for the environment variable."""
    if path is not None:
        return Path(path)
    credential = Path(environ.get(_CREDENTIALS, "")) / CREDENTIAL
    named = environ.get(_CREDENTIALS) and not environ.get(VARIABLE, "").strip()
    return credential if named and credential.exists() else None


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
