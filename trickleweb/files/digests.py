"""Digest of a file's content, block by block, with the blocks already in the index left out.

Replicas that hash the same file at the same time share the work, and a dead replica's blocks are not lost. The hashes
of a file's blocks are kept with its digest, so that a part of it can be compared without reading the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b, sha256
from pathlib import Path
from random import sample
from typing import NamedTuple, Protocol

from trickleweb.files import disk
from trickleweb.files.contents import DIGEST_BYTES
from trickleweb.files.errors import HashPending
from trickleweb.files.stamps import FileStamp, same_bytes

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@lru_cache(maxsize=1)
def this_boot() -> bytes:
    """Return a name for this boot of the machine, equal in all its processes; only this process's where there is
    none.
    """
    try:
        return Path(_BOOT_ID).read_bytes().strip()[:64]
    except OSError:
        return os.urandom(16)


BLOCK_BYTES = 16 << 20  # hashed in about 10 ms
_HASH_BYTES = 32  # of one block
Progress = Callable[[int, int], None]  # (bytes hashed, bytes in all)


class Hashes(NamedTuple):
    """A file's digest, and the SHA-256 of each of its blocks in a row."""

    digest: bytes
    blocks: bytes

    @property
    def is_whole(self) -> bool:
        """True if the blocks' hashes are those of the digest."""
        return bool(self.blocks) and len(self.blocks) % _HASH_BYTES == 0 and _combined(self._each()) == self.digest

    def confirms(self, number: int, block: bytes) -> bool:
        """Return whether these are the bytes of that block."""
        return self.blocks[number * _HASH_BYTES : (number + 1) * _HASH_BYTES] == sha256(block).digest()

    def _each(self) -> list[bytes]:
        return [self.blocks[at : at + _HASH_BYTES] for at in range(0, len(self.blocks), _HASH_BYTES)]


class Index(Protocol):
    """Persistent hashes; an index may forget at any time, and is never wrong."""

    def get(self, stamp: FileStamp) -> Hashes | None:
        """Return the hashes noted for a file that, by its stamp, has the same bytes."""

    def put(self, stamp: FileStamp, hashes: Hashes) -> None: ...

    def get_block(self, stamp: FileStamp, number: int) -> bytes | None:
        """Return the SHA-256 noted for that block of a file with exactly this stamp."""

    def put_block(self, stamp: FileStamp, number: int, digest: bytes) -> None:
        """Note a block's SHA-256, which is useless once the digest is noted."""


class NoIndex:
    """An index that stores nothing."""

    def get(self, stamp: FileStamp) -> Hashes | None:  # noqa: ARG002
        return None

    def put(self, stamp: FileStamp, hashes: Hashes) -> None: ...

    def get_block(self, stamp: FileStamp, number: int) -> bytes | None:  # noqa: ARG002
        return None

    def put_block(self, stamp: FileStamp, number: int, digest: bytes) -> None: ...


def unreported(_done: int, _total: int) -> None:
    """Report no progress."""


def digest_of(data: bytes) -> bytes:
    """Return the digest of some bytes, as in content names and tags."""
    return _combined([sha256(data[start:stop]).digest() for start, stop in _bounds(len(data))])


def hashes_of_file(descriptor: int, stamp: FileStamp, index: Index, progress: Progress = unreported) -> Hashes:
    """Return the hashes of an open file; raise `HashPending` if it is not in the state `stamp` throughout."""
    bounds, found, done = _bounds(stamp.size_bytes), dict[int, bytes](), 0
    for number in sample(range(len(bounds)), len(bounds)):  # in random order, so that replicas share the work
        start, stop = bounds[number]
        known = index.get_block(stamp, number) if len(bounds) > 1 else None
        if known is None:
            known = _hashed(descriptor, stamp, (start, stop), progress, done)
            if len(bounds) > 1:
                index.put_block(stamp, number, known)
        found[number] = known
        done += stop - start
    _check_unchanged(descriptor, stamp)
    hashes = [found[number] for number in range(len(bounds))]
    return Hashes(_combined(hashes), b"".join(hashes))


def block_bounds(size_bytes: int, number: int) -> tuple[int, int]:
    """Return the start and end of a block of a file."""
    return number * BLOCK_BYTES, min((number + 1) * BLOCK_BYTES, size_bytes)


def _bounds(size_bytes: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK_BYTES, size_bytes)) for start in range(0, size_bytes or 1, BLOCK_BYTES)]


def _combined(blocks: Sequence[bytes]) -> bytes:
    """Return the digest: one block's hash cut short, or another hash over several.

    The other hash function keeps a file made of another one's hashes from having its digest.
    """
    if len(blocks) == 1:
        return blocks[0][:DIGEST_BYTES]
    return blake2b(b"".join(blocks), digest_size=DIGEST_BYTES).digest()


def _hashed(descriptor: int, stamp: FileStamp, bounds: tuple[int, int], progress: Progress, done: int) -> bytes:
    """Return the SHA-256 of one block of an open file; `done` bytes were hashed before it."""
    state = sha256()
    for data in disk.blocks(descriptor, *bounds):
        state.update(data)
        done += len(data)
        progress(done, stamp.size_bytes)
    _check_unchanged(descriptor, stamp)
    return state.digest()


def _check_unchanged(descriptor: int, stamp: FileStamp) -> None:
    """Raise HashPending if the file changed; a write stamps a file before it changes a byte."""
    if not same_bytes(stamp, disk.stamp_of(descriptor), held=True):
        raise HashPending("the file changed while it was hashed")
