"""Whether a compressed sibling is what its name says: by its first and last bytes, never unpacked as a whole.

gzip (RFC 1952) begins with two magic bytes and the method 8, and ends in the length of what was packed: so one that is
cut, or that was made of another version of the file, is noticed. Zstandard (RFC 8878) begins with four, and mostly
says the length of what was packed. Brotli (RFC 7932) has neither: it is only seen that it is nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

MIN_BYTES = 4  # the shortest that holds anything
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # after 0x50 to 0x5F
_GZIP_MIN_BYTES = 20  # ten of the head, two of data, eight of the end
_ZSTD_HEAD_BYTES = 18  # the longest frame header
_NOT_BROTLI = (_GZIP, _ZSTD, b"PK\x03\x04", b"BZh", b"\xfd7zXZ")
_SIZE_BYTES = (0, 2, 4, 8)  # of the content size, by its flag

Read = Callable[[int, int], bytes | bytearray | memoryview]


def is_of_coding(coding: str, size_bytes: int, plain_bytes: int, read: Read) -> bool:
    """Whether a file of `size_bytes`, read by `read`, is that coding of a file of `plain_bytes`, as far as can be told.

    Raises what `read` raises.
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
    """RFC 8878 3.1.1.1: a frame header's descriptor says which fields it has."""
    if head[1:4] == _SKIPPABLE and head[0] >> 4 == 5:
        return True  # a frame of somebody's own comes first
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
