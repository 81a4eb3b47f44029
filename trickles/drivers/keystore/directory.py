"""A keyring as a directory: one file for each epoch, the public identity, and (where keys are made) its secret.

    identity.key      raw Ed25519 private key, 32 bytes, mode 0600; only `trickles keys rotate` reads it
    server.pub        the public identity that clients pin, one line of text, mode 0644
    epoch-ID.key      one epoch's document, mode 0600; ID is 8 hex digits, the same as inside

The directory has mode 0700. Other names are ignored. Replicas need the epochs only.

A secret that Kubernetes has mounted is such a directory, too. There the names are links by way of the link `..data`,
which is replaced in one step: the files are read by it, so that they are those of one state. Others may list these
directories, and by their mode even write: then the mount must be read-only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trickles.drivers.keystore import document
from trickles.drivers.keystore.files import (
    MAKE_KEYS,
    PRIVATE,
    UNALTERED,
    UnsafeFile,
    errors_as,
    names,
    opened_directory,
    read_file,
)
from trickles.drivers.keystore.server_key import parse_server_key
from trickles.errors import KeyringError
from trickles.keyring import Epoch, Keyring

IDENTITY_FILE = "identity.key"
PUBLIC_FILE = "server.pub"
_EPOCH_FILE = re.compile(r"epoch-([0-9a-f]{8})\.key")
_DATA = "..data"
_IN_KUBERNETES = "; of a Kubernetes secret set defaultMode: 0440, and fsGroup to a group of this process"
_TRIES = 3  # a rotation may remove a file between the listing and the reading

Signature = tuple[tuple[str, int, int, int, int, int], ...]


def epoch_file(identifier: int) -> str:
    """Return the name of an epoch's file."""
    return f"epoch-{document.epoch_name(identifier)}.key"


def is_key_file(name: str) -> bool:
    """Return True when a file of this name belongs to a keyring."""
    return name in (IDENTITY_FILE, PUBLIC_FILE) or _EPOCH_FILE.fullmatch(name) is not None


def read_directory(path: Path) -> Keyring:
    """Read the keyring in a directory; KeyringError when it is missing, open to others, damaged or empty.

    A mounted secret may be switched, and its state before removed, at any time: then the next state is read.
    """
    with errors_as(KeyringError, path, missing=MAKE_KEYS), hints(path):
        for _ in range(_TRIES):
            with _opened(path) as inside:
                if epochs := read_epochs(path, inside):
                    ring = document.keyring(epochs, str(path))
                    check_identity(path, inside, document.fleet_identity(ring))
                    return ring
        raise KeyringError(f"{path} holds no epoch{MAKE_KEYS}")


@contextmanager
def hints(path: Path) -> Iterator[None]:
    """Add to an `UnsafeFile` about a keyring at that path how to mend it if Kubernetes has mounted it."""
    try:
        yield
    except UnsafeFile as exc:
        mounted = _is_mounted(path) or _is_mounted(path.parent)
        raise UnsafeFile(f"{exc}{_IN_KUBERNETES}") if mounted else exc from None


def read_epochs(path: Path, inside: int) -> list[Epoch]:
    """Read all epochs in the open directory, in no order; KeyringError when one is damaged or open to others."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return _read_epochs(path, inside)
    raise KeyringError(f"{path} lists an epoch that does not exist: is one a dangling link?")


def check_identity(path: Path, inside: int, identity: bytes) -> None:
    """Raise KeyringError when the directory has a `server.pub` of another identity: clients would refuse it."""
    try:
        data = read_inside(path / PUBLIC_FILE, UNALTERED, inside)
    except FileNotFoundError:
        return
    if parse_server_key(data.decode("utf-8", "replace"), str(path / PUBLIC_FILE)) != identity:
        raise KeyringError(f"{path / PUBLIC_FILE} is not the identity that certified the epochs in {path}")


def read_inside(path: Path, forbidden: int, inside: int) -> bytes:
    """Read a file as `read_file` does; every error except FileNotFoundError is a KeyringError that names the file."""
    try:
        return read_file(path, forbidden, inside=inside)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise KeyringError(f"{path}: {exc.strerror}") from None


def signature(path: Path) -> Signature:
    """Return a value that changes with anything that `load_keyring(path)` depends on; cheap, no file is read."""
    try:
        folder = path / _DATA if _is_mounted(path) else path
        inside = [folder / name for name in _key_files(folder)] if folder.is_dir() else []
        return tuple(_stamp(str(each)) for each in (path, *inside))
    except (OSError, ValueError, UnsafeFile):
        return ()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Yield the descriptor of the checked directory that holds the files of one state."""
    if not _is_mounted(path):
        with opened_directory(path) as inside:
            yield inside
        return
    forbidden = 0 if os.statvfs(path).f_flag & os.ST_RDONLY else UNALTERED
    with opened_directory(path, forbidden), opened_directory(path / _DATA, forbidden) as inside:
        yield inside


def _is_mounted(path: Path) -> bool:
    return (path / _DATA).is_symlink()


def _stamp(name: str) -> tuple[str, int, int, int, int, int]:
    status = os.stat(name)  # noqa: PTH116 - of text: this runs every second in every replica
    return name, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_epochs(path: Path, inside: int) -> list[Epoch]:
    found = [name for name in _key_files(inside) if name != PUBLIC_FILE]
    if len(found) > document.MAX_EPOCHS:
        raise KeyringError(f"{path} holds more than {document.MAX_EPOCHS} epochs")
    return [_read_epoch(path / name, inside) for name in found]


def _read_epoch(path: Path, inside: int) -> Epoch:
    epochs = document.parse(read_inside(path, PRIVATE, inside), str(path))
    if [epoch_file(epoch.identifier) for epoch in epochs] != [path.name]:
        raise KeyringError(f"{path} does not hold the one epoch that its name says")
    return epochs[0]


def _key_files(directory: Path | int) -> list[str]:
    return sorted(name for name in names(directory) if name == PUBLIC_FILE or _EPOCH_FILE.fullmatch(name))
