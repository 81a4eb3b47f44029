"""Names of contents: a hash of the bytes, and the path where they are found."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from trickleweb.files.errors import BadContentName
from trickleweb.files.stamps import FileStamp

DIGEST_BYTES = 20  # SHA-256 cut to 160 bits: a collision costs 2^80 hashes
_TEXT_CHARS = 27  # 20 bytes in base64 without padding


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
