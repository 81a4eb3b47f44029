"""A large file of noise: made fast, the same each time, no two of its blocks alike, so that no mix-up goes unseen."""

from __future__ import annotations

import hashlib
from pathlib import Path

BLOCK_BYTES = 1 << 20


def write_noise(path: Path, size_bytes: int) -> str:
    """Write that many bytes, none of them sparse; their sha256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size_bytes, BLOCK_BYTES):
            block = hashlib.shake_128(start.to_bytes(8, "big")).digest(min(BLOCK_BYTES, size_bytes - start))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """The sha256 of a file in hexadecimal, or `nothing` if there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "nothing"
