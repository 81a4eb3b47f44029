"""Hashes of a folder's files, computed once for all machines that serve equal copies of it.

    # trickleweb manifest 1
    HASH[,HASH...]  SIZE  PATH

has a line for each file: the SHA-256 of each of its blocks of 16 MiB in hexadecimal (of a file no larger than that: the
hash that sha256sum prints), its size in bytes, its path below the folder, percent-encoded.

A manifest is the operator's word about a file of that path and size, and is used until this machine has hashed the file
itself: for its entity tag, and to continue a download that another machine began. Times do not count. A wrong line
cannot give wrong bytes: each block is compared with its hash before any byte of it is sent (`HashedFile`). Whatever
shows first that a line is wrong, such a block or the file's own hash, ends the use of that line, and is reported.

What was tried: lines of sha256sum alone. One hash over a whole file can only be compared after its last byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from trickles.drivers.keystore.files import WORLD_UNALTERED, UnsafeFile, read_file
from trickleweb.files.digests import HASH_BYTES, Hashes, block_count, hashes_of_blocks
from trickleweb.files.errors import FilesError

HEADER = "# trickleweb manifest 1"
MOST_BYTES = 256 << 20  # a million files of some hundred megabytes each
_LINE = re.compile(r"([0-9a-f]{64}(?:,[0-9a-f]{64})*)  ([0-9]{1,18})  ([!-~]+)")


class ManifestError(FilesError):
    """A manifest that cannot be used; the text names the file and the line."""


def _unreported(_text: str) -> None:
    """Report nothing."""


class Manifest:
    """Claims about files by path; those that prove wrong are dropped, and reported once."""

    def __init__(self, claims: dict[str, tuple[int, bytes]], report: Callable[[str], None] = _unreported) -> None:
        self._claims = claims  # path: size, hashes of blocks
        self._report = report

    def claim(self, path: str, size_bytes: int) -> Hashes | None:
        """Return the hashes that a file of that path and size should have, if there is a line for it."""
        size, blocks = self._claims.get(path, (-1, b""))
        return hashes_of_blocks(blocks) if size == size_bytes else None

    def compare(self, path: str, size_bytes: int, digest: bytes) -> None:
        """Drop the claim if the file of that size has another digest."""
        claimed = self.claim(path, size_bytes)
        if claimed is not None and claimed.digest != digest:
            self._drop(path)

    def refute(self, path: str, digest: bytes) -> None:
        """Drop the claim of that digest: the file has other bytes."""
        if path in self._claims and hashes_of_blocks(self._claims[path][1]).digest == digest:
            self._drop(path)

    def _drop(self, path: str) -> None:
        del self._claims[path]
        self._report(f"the manifest is wrong about {path}: its own hash is used; make it again with `trickleweb hash`")


def load_manifest(path: Path, report: Callable[[str], None], *, above_bytes: int) -> Manifest:
    """Read a manifest; keep its lines about files larger than `above_bytes`, as smaller ones are hashed at once.

    ManifestError when it is missing, too long or malformed, and when every user may write it.
    """
    try:
        data = read_file(path, WORLD_UNALTERED, most_bytes=MOST_BYTES)
    except UnsafeFile as error:
        raise ManifestError(str(error)) from None
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return Manifest(dict(_claims(data, path, above_bytes)), report)


def manifest_line(path: str, size_bytes: int, hashes: Hashes) -> str:
    """Return a file's line, without its end."""
    return f"{','.join(each.hex() for each in hashes.each())}  {size_bytes}  {quote(path, errors='surrogateescape')}"


def _claims(data: bytes, path: Path, above_bytes: int) -> Iterator[tuple[str, tuple[int, bytes]]]:
    lines = data.decode("ascii", "replace").split("\n")
    if lines[0] != HEADER or lines.pop():
        raise ManifestError(f"{path} is no manifest of this release, or was cut: make it with `trickleweb hash`")
    known = set[str]()
    for number, line in enumerate(lines[1:], 2):
        if not (found := _LINE.fullmatch(line)):
            raise ManifestError(f"{path}:{number}: not HASH[,HASH...]  SIZE  PATH")
        blocks, size = bytes.fromhex(found[1].replace(",", "")), int(found[2])
        name = unquote(found[3], errors="surrogateescape")
        if name in known or len(blocks) != HASH_BYTES * block_count(size):
            raise ManifestError(f"{path}:{number}: a second line for this path, or too few or many hashes for its size")
        known.add(name)
        if size > above_bytes:
            yield name, (size, blocks)
