"""Which exact bytes a file holds: its content name (strong hash, path), and the stamp that tells when to hash again."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from trickleweb.files.errors import BadContentName

DIGEST_BYTES = 20  # SHA-256 cut to 160 bits: a collision costs 2^80 hashes
_TEXT_CHARS = 27  # 20 bytes in base64 without padding


class Stamp(NamedTuple):
    """What the file system says of one state of one file; equal stamps of a settled file mean equal bytes.

    The change time is part of it because the modification time can be set back: `cp -p` and `rsync --inplace` do.
    """

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


def digest_text(digest: bytes) -> str:
    """The digest as 27 URL-safe characters."""
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def content_name(digest: bytes, path: str) -> str:
    """The name of exactly these bytes, and where they are found: what `Slice.content` holds."""
    return f"{digest_text(digest)}:{path}"


def parse_content_name(name: str) -> tuple[bytes, str]:
    """Split a content name into digest and path; `BadContentName` if it is none."""
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
    """The entity tag of these bytes, the same on every replica; each content coding has its own (RFC 9110 8.8.3.3)."""
    return f'"{digest_text(digest)}-{coding}"' if coding else f'"{digest_text(digest)}"'
