"""Keys that are the same in every run: a fleet's identity, its epochs, and the directory that holds them."""

from pathlib import Path

from trickles.drivers.keystore.document import render
from trickles.drivers.keystore.server_key import server_key_text
from trickles.handshake import certify, identity_public
from trickles.keyring import Epoch, Keyring

SECRET = bytes(range(100, 132))
IDENTITY = identity_public(SECRET)
STRANGER = bytes(range(200, 232))
NOON = 1_800_000_000_000_000  # a moment in 2027, microseconds


def epoch(identifier: int = 7, since: int = NOON, secret: bytes = SECRET) -> Epoch:
    """An epoch whose key follows from its id, certified by `secret`."""
    return certify(Epoch(identifier, bytes([identifier % 251]) * 32, since), secret)


def ring(*identifiers: int) -> Keyring:
    """A keyring of these epochs, each a second after the one before."""
    return Keyring(tuple(epoch(each, NOON + i * 1_000_000) for i, each in enumerate(identifiers)))


def put(path: Path, data: bytes | str, mode: int = 0o600) -> Path:
    """Write a file of a certain mode, and return its path."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)
    return path


def fleet(path: Path, *epochs: Epoch) -> Path:
    """Make a directory of keys without a line of the code under test, and return its path."""
    path.mkdir(mode=0o700)
    put(path / "identity.key", SECRET)
    put(path / "server.pub", server_key_text(IDENTITY, "a fleet") + "\n", 0o644)
    for each in epochs:
        put(path / f"epoch-{each.identifier:08x}.key", render([each]))
    return path
