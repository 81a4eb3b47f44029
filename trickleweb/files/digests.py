"""Digests of files' contents, and the names and tags made of them.

A digest is computed block by block, with the blocks already in the index left out.

Replicas that hash the same file at the same time share the work, and a dead replica's blocks are not lost. The hashes
of a file's blocks are kept with its digest, so that a part of it can be compared without reading the rest.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b, sha256
from pathlib import Path
from random import sample
from typing import NamedTuple, Protocol

from trickleweb.files import disk
from trickleweb.files.errors import BadContentName, HashPending
from trickleweb.files.stamps import FileStamp, same_bytes

DIGEST_BYTES = 20  # SHA-256 cut to 160 bits: a collision costs 2^80 hashes
_TEXT_CHARS = 27  # 20 bytes in base64 without padding
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
HASH_BYTES = 32  # of one block
Progress = Callable[[int, int], None]  # (bytes hashed, bytes in all)


class Hashes(NamedTuple):
    """A file's digest, and the SHA-256 of each of its blocks in a row."""

    digest: bytes
    blocks: bytes

    @property
    def is_whole(self) -> bool:
        """True if the blocks' hashes are those of the digest."""
        return bool(self.blocks) and len(self.blocks) % HASH_BYTES == 0 and _combined(self.each()) == self.digest

    def confirms(self, number: int, block: bytes) -> bool:
        """Return whether these are the bytes of that block."""
        return self.blocks[number * HASH_BYTES : (number + 1) * HASH_BYTES] == sha256(block).digest()

    def each(self) -> list[bytes]:
        """Return the hashes of the blocks."""
        return [self.blocks[at : at + HASH_BYTES] for at in range(0, len(self.blocks), HASH_BYTES)]


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


def hashes_of_blocks(blocks: bytes) -> Hashes:
    """Return the hashes of a file whose blocks have these, in a row."""
    hashes = Hashes(b"", blocks)
    return hashes._replace(digest=_combined(hashes.each()))


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


def block_count(size_bytes: int) -> int:
    """Return how many blocks a file of that size has, at least one."""
    return max(-(-size_bytes // BLOCK_BYTES), 1)


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


def digest_text(digest: bytes) -> str:
    """Return the digest as 27 URL-safe characters."""
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def content_name(digest: bytes, path: str) -> str:
    """Return the name of these bytes and of their path, for `Slice.content`."""
    return f"{digest_text(digest)}:{path}"


def parse_content_name(name: str) -> tuple[bytes, str]:
    """Split a content name into digest and path; raise `BadContentName`."""
    text, colon, path = name.partition(":")
    if not colon or len(text) != _TEXT_CHARS or not text.isascii():
        raise BadContentName("a content name is 27 characters of hash, a colon and a path")
    try:
        digest = urlsafe_b64decode(text + "=")
    except ValueError as exc:
        raise BadContentName(str(exc)) from None
    if digest_text(digest) != text:
        raise BadContentName("not the canonical text of a hash")
    return digest, path


def strong_etag(digest: bytes, coding: str = "") -> str:
    """Return the entity tag of these bytes, equal on every replica; each content coding has its own (RFC 9110
    8.8.3.3).
    """
    return f'"{digest_text(digest)}-{coding}"' if coding else f'"{digest_text(digest)}"'


def weak_etag(stamp: FileStamp, coding: str = "") -> str:
    """Return the weak entity tag of a file without a hash: its time and size, as other servers do."""
    text = f"{stamp.modified_ns & ((1 << 80) - 1):x}-{stamp.size_bytes:x}"
    return f'W/"{text}-{coding}"' if coding else f'W/"{text}"'
