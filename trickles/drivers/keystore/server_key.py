"""A fleet's public identity as one line of text, for clients to pin: `trickles-ed25519 BASE64 [comment]`."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from trickles.drivers.keystore.files import WORLD_UNALTERED, errors_as, opened_directory, read_file, write_file
from trickles.errors import KeyringError

ALGORITHM = "trickles-ed25519"
IDENTITY_BYTES = 32
MAX_COMMENT_CHARACTERS = 200


def server_key_text(identity: bytes, comment: str = "") -> str:
    """Return the line, without its end, for a public identity of 32 bytes."""
    if len(identity) != IDENTITY_BYTES:
        raise KeyringError(f"an identity has {IDENTITY_BYTES} bytes")
    if not comment.isprintable() or len(comment) > MAX_COMMENT_CHARACTERS:
        raise KeyringError(f"a comment is at most {MAX_COMMENT_CHARACTERS} printable characters on one line")
    return f"{ALGORITHM} {base64.b64encode(identity).decode()} {comment}".rstrip()


def read_server_key(path_or_text: str | os.PathLike[str]) -> bytes:
    """Return the public identity (32 bytes) in a file such as `server.pub`, or in its text given instead of a path.

    Blank lines and lines that begin with `#` are ignored. KeyringError when there is not exactly one key, and when
    every user may write the file.
    """
    if isinstance(path_or_text, str) and path_or_text.lstrip().startswith(ALGORITHM):
        return parse_server_key(path_or_text, "the given server key")
    path = Path(path_or_text)
    with errors_as(KeyringError, path):
        data = read_file(path, WORLD_UNALTERED)
    return parse_server_key(data.decode("utf-8", "replace"), str(path))


def write_server_key(path: str | os.PathLike[str], identity: bytes, comment: str = "") -> None:
    """Write the line to a file that every user may read; KeyringError when that fails."""
    target = Path(path)
    line = server_key_text(identity, comment) + "\n"
    with errors_as(KeyringError, target), opened_directory(target.parent, forbidden=0) as inside:
        write_file(target.name, line.encode(), 0o644, inside=inside)


def parse_server_key(text: str, name: str) -> bytes:
    """Return the one key in `text`; KeyringError, which contains `name`, when there is none or more than one."""
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if len(keys) > 1:
        raise KeyringError(f"{name} holds more than one line: one fleet has one identity")
    fields = keys[0].split(maxsplit=2) if keys else []
    identity = decode_key(*fields[:2]) if len(fields) > 1 else None
    if identity is None:
        raise KeyringError(
            f"{name} holds no public identity; it reads `{ALGORITHM} BASE64`, as in a keyring's server.pub"
        )
    return identity


def decode_key(algorithm: str, encoded: str) -> bytes | None:
    """Return the 32 bytes of two fields of text; None for invalid ones."""
    try:
        identity = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    return identity if algorithm == ALGORITHM and len(identity) == IDENTITY_BYTES else None
