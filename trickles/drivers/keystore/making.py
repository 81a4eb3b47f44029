"""Creation of keys: a fleet's first ones, the next epoch, and ephemeral ones of a single process."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trickles.drivers.keystore import document
from trickles.drivers.keystore.directory import (
    IDENTITY_FILE,
    PUBLIC_FILE,
    check_identity,
    epoch_file,
    is_key_file,
    read_epochs,
    read_inside,
)
from trickles.drivers.keystore.files import MAKE_KEYS, PRIVATE, errors_as, names, opened_directory, sweep, write_file
from trickles.drivers.keystore.server_key import server_key_text
from trickles.drivers.world import fresh_secret, wall_us
from trickles.errors import KeyringError
from trickles.handshake import certify, identity_public
from trickles.keyring import KEY_BYTES, Epoch, Keyring, with_epoch
from trickles.limits import SECOND

DEFAULT_DELAY = 300 * SECOND  # replicas check every second, but copying files to their machines may take minutes
DEFAULT_KEEP = 3
MAX_KEEP = 32
MAX_DELAY = 3652 * 86_400 * SECOND  # ten years


@dataclass(frozen=True, slots=True)
class Rotation:
    """The result of a rotation: the new keyring, the new epoch, and the ids of dropped ones."""

    keyring: Keyring
    fresh: Epoch
    dropped: tuple[int, ...]


def init_keystore(path: str | os.PathLike[str], *, now: int | None = None, comment: str = "") -> Keyring:
    """Make a directory (or use an empty one) with a new identity and a first epoch; KeyringError if it has keys."""
    directory = Path(path)
    server_key_text(bytes(KEY_BYTES), comment)  # a bad comment is refused before anything is made
    with errors_as(KeyringError, directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(directory) as inside:
            if any(is_key_file(name) for name in names(inside)):
                raise KeyringError(f"{directory} holds keys already; `trickles keys rotate` adds an epoch to them")
            identity = fresh_secret(KEY_BYTES)
            write_file(IDENTITY_FILE, identity, 0o600, inside=inside)
            return _finish(inside, identity, now, comment)


def ensure_keystore(path: str | os.PathLike[str], *, now: int | None = None) -> None:
    """Make keys unless there are epochs, and finish what an `init_keystore` began that was killed, or had no room.

    An identity without any epoch is such a beginning: no client can have met it. KeyringError as `init_keystore`.
    """
    directory = Path(path)
    with errors_as(KeyringError, directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(directory) as inside:
            sweep(inside)
            found = {name for name in names(inside) if is_key_file(name)}
            if IDENTITY_FILE in found and found <= {IDENTITY_FILE, PUBLIC_FILE}:
                _finish(inside, _read_identity(directory, inside), now, "")
    if not found:
        init_keystore(directory, now=now)


def _finish(inside: int, identity: bytes, now: int | None, comment: str) -> Keyring:
    """The first epoch is the last to be written: with it, all is there."""
    epoch = _fresh_epoch(identity, wall_us() if now is None else now)
    _write_public(inside, identity, comment)
    write_file(epoch_file(epoch.identifier), document.render([epoch]), 0o600, inside=inside)
    return Keyring((epoch,))


def rotate_keystore(
    path: str | os.PathLike[str], *, now: int | None = None, delay: int = DEFAULT_DELAY, keep: int = DEFAULT_KEEP
) -> Rotation:
    """Add an epoch that is in force `delay` microseconds from now, and drop all but the `keep` newest.

    The delay lets every replica read the new epoch before another one seals with it. The epoch in force is never
    dropped. Values sealed under a dropped one are refused from then on. KeyringError when the directory cannot be
    used, or lacks the identity's secret.
    """
    done = rotate_if(lambda _ring, _now: True, path, now=now, delay=delay, keep=keep)
    assert done is not None
    return done


def rotate_if(
    due: Callable[[Keyring, int], bool],
    path: str | os.PathLike[str],
    *,
    now: int | None = None,
    delay: int = DEFAULT_DELAY,
    keep: int = DEFAULT_KEEP,
) -> Rotation | None:
    """Rotate the keystore if that is `due` by its epochs and the time, else return None; errors as `rotate_keystore`.

    That is asked while no other process rotates: of two timers that run at once one does.
    """
    if not (0 <= delay <= MAX_DELAY and 1 <= keep <= MAX_KEEP):
        raise KeyringError(f"an epoch begins between now and ten years from now, and 1 to {MAX_KEEP} are kept")
    directory, moment = Path(path), wall_us() if now is None else now
    with errors_as(KeyringError, directory, missing=MAKE_KEYS), _locked(directory) as inside:
        sweep(inside)
        identity = _read_identity(directory, inside)
        held = read_epochs(directory, inside)
        if held and not due(document.keyring(held, str(directory)), moment):
            return None
        fresh = _fresh_epoch(identity, moment + delay, {epoch.identifier for epoch in held})
        ring = document.keyring([*held, fresh], str(directory))
        write_file(epoch_file(fresh.identifier), document.render([fresh]), 0o600, inside=inside)
        if PUBLIC_FILE not in names(inside):
            _write_public(inside, identity, "")
        kept = pruned(ring, keep=keep, now=moment)
        dropped = tuple(epoch.identifier for epoch in ring.epochs if epoch not in kept.epochs)
        for identifier in dropped:
            os.unlink(epoch_file(identifier), dir_fd=inside)
        os.fsync(inside)
    return Rotation(kept, fresh, dropped)


def pruned(ring: Keyring, *, keep: int, now: int) -> Keyring:
    """Return the keyring with its `keep` newest epochs, and the one in force at `now`."""
    in_force = ring.newest(now)
    newest = ring.epochs[-keep:]
    return Keyring(newest if in_force in newest else (in_force, *newest))


def ephemeral_keyring(*, replicas: int = 1, now: int | None = None) -> Keyring:
    """Return a keyring with an identity that ends with the process; KeyringError, with the fix, for several replicas.

    Clients that pin or remember identities refuse the next one: use it for trials and tests.
    """
    if replicas != 1:
        raise KeyringError(
            f"{replicas} replicas need one keyring, or none can go on with a transfer of another: "
            "make it with `trickles keys init DIR`, and start them all with --keyring DIR"
        )
    return with_epoch(None, _fresh_epoch(fresh_secret(KEY_BYTES), wall_us() if now is None else now))


def _fresh_epoch(identity: bytes, not_before: int, taken: set[int] | None = None) -> Epoch:
    identifier = secrets.randbits(32)
    while identifier in (taken or ()):
        identifier = secrets.randbits(32)
    return certify(Epoch(identifier, fresh_secret(KEY_BYTES), not_before), identity)


def _read_identity(directory: Path, inside: int) -> bytes:
    path = directory / IDENTITY_FILE
    try:
        identity = read_inside(path, PRIVATE, inside)
    except FileNotFoundError:
        raise KeyringError(f"{path} is missing: rotate where the identity is kept, then copy the epochs") from None
    if len(identity) != KEY_BYTES:
        raise KeyringError(f"{path} is damaged: an identity's secret has {KEY_BYTES} bytes")
    check_identity(directory, inside, identity_public(identity))
    return identity


def _write_public(inside: int, identity: bytes, comment: str) -> None:
    line = server_key_text(identity_public(identity), comment) + "\n"
    write_file(PUBLIC_FILE, line.encode(), 0o644, inside=inside)


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Yield the checked directory's descriptor, while no other process changes its keys."""
    with opened_directory(directory) as inside:
        fcntl.flock(inside, fcntl.LOCK_EX)
        yield inside
