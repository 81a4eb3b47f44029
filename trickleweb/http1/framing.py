"""Framing of a request's body (RFC 9112 6.3); every form on which two parsers could differ is refused."""

from __future__ import annotations

import re

from trickleweb.http1.shape import field_values, refused
from trickleweb.messages import Chunked, Framing, Length, NoBody

_LENGTH_VALUE = re.compile(rb"[0-9]{1,18}")  # below 2**63


def parse_framing_untrusted(lowered: bytes, version: tuple[int, int]) -> Framing:
    """Return the framing of the body after a complete head in lower case, its bytes checked.

    Raise HTTPError 400 for more than one length, a length with a coding, or a coding from an HTTP/1.0 client; 501 for
    an unknown coding.
    """
    lengths, codings = field_values(lowered, b"content-length"), field_values(lowered, b"transfer-encoding")
    if codings:
        return _coded(codings, with_length=bool(lengths), version=version)
    return _sized(lengths) if lengths else NoBody()


def _coded(codings: list[bytes], *, with_length: bool, version: tuple[int, int]) -> Framing:
    if with_length:
        raise refused(400, "both Transfer-Encoding and Content-Length")
    if version < (1, 1):
        raise refused(400, "Transfer-Encoding in HTTP/1.0")
    listed = [name.strip(b" \t") for value in codings for name in value.split(b",")]  # several lines are one list
    names = [name for name in listed if name]  # empty elements are ignored (RFC 9110 5.6.1)
    if not names or b"chunked" in names[:-1]:
        raise refused(400, "chunked must be the last transfer coding, once")
    if names != [b"chunked"]:
        raise refused(501, "the only transfer coding here is chunked")
    return Chunked()


def _sized(lengths: list[bytes]) -> Framing:
    if len(lengths) > 1:
        raise refused(400, "more than one Content-Length")
    if not _LENGTH_VALUE.fullmatch(lengths[0]):
        raise refused(400, "invalid Content-Length")
    byte_count = int(lengths[0])
    return Length(byte_count) if byte_count else NoBody()
