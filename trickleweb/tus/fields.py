"""Fields of tus requests as values (https://tus.io/protocols/resumable-upload). All raise `HTTPError` 400."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from trickleweb.errors import HTTPError

if TYPE_CHECKING:
    from hashlib import _Hash

ALGORITHMS = ("sha1", "sha256", "sha512")
MOST = (1 << 63) - 1  # bytes that a file may have
_COUNT = re.compile(r"[0-9]{1,19}")
_KEY = re.compile(r"[!-+\--~]+")  # ASCII without spaces and commas
_ID = re.compile(r"[0-9a-f]{32}")


def count(name: str, text: str | None) -> int:
    """Return a count of bytes."""
    if text is None or not _COUNT.fullmatch(text) or int(text) > MOST:
        raise HTTPError(400, f"{name} is no count of bytes.")
    return int(text)


def check_metadata(text: str, most_bytes: int) -> None:
    """Check Upload-Metadata: pairs of a key and a value in Base64, keys unique; 413 if it is too long."""
    if len(text) > most_bytes:
        raise HTTPError(413, f"Upload-Metadata is longer than {most_bytes} bytes.")
    keys = set()
    for pair in text.split(","):
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in keys or _decoded(value) is None:
            raise HTTPError(400, "Upload-Metadata is malformed.")
        keys.add(key)


def metadata(text: str) -> dict[str, bytes]:
    """Return the values of a checked Upload-Metadata."""
    pairs = [pair.strip(" ").partition(" ") for pair in text.split(",") if pair]
    return {key: b64decode(value) for key, _, value in pairs}


class Checksum(NamedTuple):
    """The digest that a body must have."""

    algorithm: str
    digest: bytes

    @classmethod
    def of(cls, text: str) -> Checksum:
        """Parse Upload-Checksum."""
        algorithm, _, value = text.partition(" ")
        digest = _decoded(value)
        if algorithm not in ALGORITHMS or digest is None or len(digest) != hashlib.new(algorithm).digest_size:
            raise HTTPError(400, f"Upload-Checksum is malformed, or none of {', '.join(ALGORITHMS)}.")
        return cls(algorithm, digest)

    def new(self) -> _Hash:
        """Return the hash to be fed with the body."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def parts_of(text: str, collection: str, most: int) -> tuple[str, ...]:
    """Return the ids of a final Upload-Concat, whose URLs lie below the path `collection`."""
    urls = text.removeprefix("final;").split()
    if not 0 < len(urls) <= most:
        raise HTTPError(400, f"Upload-Concat has no parts, or more than {most}.")
    found = []
    for url in urls:
        above, _, last = _path(url).rpartition("/")
        if above != collection or not is_id(last):
            raise HTTPError(400, "Upload-Concat names an upload of elsewhere.")
        found.append(last)
    return tuple(found)


def is_id(text: str) -> bool:
    """Return whether an upload may have that id."""
    return _ID.fullmatch(text) is not None


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None
