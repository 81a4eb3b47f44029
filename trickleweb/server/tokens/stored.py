"""Tokens of responses in the response store: the name of one, and the beginning of a range in it.

Layout, big-endian: form (1) | flags (1) | status (2) | length of the head (4) | start of the range, head included (8) |
name. Bytes of a stored response follow from their offset, so nothing has to be verified.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from trickleweb.server.errors import BadToken
from trickleweb.server.tokens.planned import STORED, Flag

_FIXED = struct.Struct(">BBHIQ")


class StoredToken(NamedTuple):
    """Output from offset `at` of the stored response `name` on; `last` ends the connection after the response."""

    name: bytes
    status: int
    head_bytes: int
    last: bool
    at: int = 0

    def pack(self) -> bytes:
        flags = 0 if self.last else Flag.KEEP_ALIVE
        return _FIXED.pack(STORED, flags, self.status, self.head_bytes, self.at) + self.name


def unpack_stored(state: bytes) -> StoredToken:
    """Return the token of form 9 in these bytes; raise `BadToken` for those of another release."""
    try:
        _, flags, status, head_bytes, at = _FIXED.unpack_from(state)
    except struct.error as exc:
        raise BadToken(str(exc)) from None
    name = state[_FIXED.size :]
    if not 16 <= len(name) <= 32:
        raise BadToken("a name that no response store gives")
    return StoredToken(name, status, head_bytes, not flags & Flag.KEEP_ALIVE, at)
