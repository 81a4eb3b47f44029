"""Representations of a file: its metadata, its variants in different content codings, and the look of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

MIN_BYTES = 4  # the shortest compressed file with content
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # after 0x50 to 0x5F
_GZIP_MIN_BYTES = 20  # head 10, data 2, trailer 8
_ZSTD_HEAD_BYTES = 18  # the longest frame header
_NOT_BROTLI = (_GZIP, _ZSTD, b"PK\x03\x04", b"BZh", b"\xfd7zXZ")
_SIZE_BYTES = (0, 2, 4, 8)  # of the content size, by its flag

Read = Callable[[int, int], bytes | bytearray | memoryview]


def is_of_coding(coding: str, size_bytes: int, plain_bytes: int, read: Read) -> bool:
    """Return whether a file of `size_bytes`, read by `read`, looks like that coding of a file of `plain_bytes`.

    Raise what `read` raises.
    """
    if coding == "gzip":
        return _is_gzip(size_bytes, plain_bytes, read)
    head = bytes(read(0, min(_ZSTD_HEAD_BYTES, size_bytes)))
    if coding == "zstd":
        return _is_zstd(head, plain_bytes)
    return not head.startswith(_NOT_BROTLI)


def _is_gzip(size_bytes: int, plain_bytes: int, read: Read) -> bool:
    if size_bytes < _GZIP_MIN_BYTES or bytes(read(0, len(_GZIP))) != _GZIP:
        return False
    return int.from_bytes(bytes(read(size_bytes - 4, size_bytes)), "little") == plain_bytes & 0xFFFF_FFFF


def _is_zstd(head: bytes, plain_bytes: int) -> bool:
    """Return whether a zstd frame header fits (RFC 8878 3.1.1.1): its descriptor says which fields it has."""
    if head[1:4] == _SKIPPABLE and head[0] >> 4 == 5:
        return True  # a skippable frame comes first
    if not head.startswith(_ZSTD) or len(head) < 6:
        return False
    descriptor = head[4]
    single_segment = descriptor >> 5 & 1
    size_bytes = _SIZE_BYTES[descriptor >> 6] or single_segment
    if not size_bytes:
        return True
    at = 5 + (1 - single_segment) + _dictionary_bytes(descriptor)
    size = int.from_bytes(head[at : at + size_bytes], "little") + (256 if size_bytes == 2 else 0)
    return size == plain_bytes


def _dictionary_bytes(descriptor: int) -> int:
    return (0, 1, 2, 4)[descriptor & 3]


@dataclass(frozen=True, slots=True)
class Variant:
    """One representation: exact bytes, their tag ("" is none) and coding ("" is none); times in seconds since 1970."""

    content: str  # the content name that `Slice` carries
    etag: str
    size_bytes: int
    modified_s: int | None
    coding: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """The representations at one path; `variants` begin with the plain one. `media_type` is the whole Content-Type."""

    media_type: str
    cache_control: str
    variants: tuple[Variant, ...]
    vary: str = ""  # the request field that selected this resource, "" for none

    def undated(self) -> Resource:
        """Return the resource without times."""
        return replace(self, variants=tuple(replace(each, modified_s=None) for each in self.variants))


SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}  # coding -> suffix of the sibling; the better first
