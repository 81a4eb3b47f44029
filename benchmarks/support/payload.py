"""Files to transfer and what their bytes must hash to."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Payload:
    """A file of random bytes and its sha256 in hex."""

    path: Path
    size_bytes: int
    sha256: str


def make_payload(path: Path, size_bytes: int) -> Payload:
    """Write a file of `size_bytes` random bytes."""
    digest, left = hashlib.sha256(), size_bytes
    with path.open("wb") as file:
        while left:
            block = os.urandom(min(left, BLOCK_BYTES))
            file.write(block)
            digest.update(block)
            left -= len(block)
    return Payload(path, size_bytes, digest.hexdigest())
