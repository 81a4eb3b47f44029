"""Positions in the event stream of a program, for tokens: after the event with an id, and some events without.

Layout: number of events after that id (4) | chain of digests over them (16) | length of the id (1) | the id |
length of a comment (1) | the comment, which comes next.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import NamedTuple

from trickleweb.server.errors import BadToken

MAX_ID_BYTES, MAX_COMMENT_BYTES = 64, 64
CHAIN_BYTES = 16
MAX_POSITION_BYTES = 4 + CHAIN_BYTES + 2 + MAX_ID_BYTES + MAX_COMMENT_BYTES
_FIXED = struct.Struct(f">I{CHAIN_BYTES}sB")


class EventPosition(NamedTuple):
    """The position `passed` events after the event with `id`, b"" for the beginning; then `comment`, if any."""

    id: bytes = b""
    passed: int = 0
    chain: bytes = bytes(CHAIN_BYTES)
    comment: bytes = b""

    def stepped(self, event: bytes) -> EventPosition:
        """Return the position after one more event, counted from the same id."""
        return EventPosition(self.id, self.passed + 1, sha256(self.chain + event).digest()[:CHAIN_BYTES])

    def pack(self) -> bytes:
        fixed = _FIXED.pack(self.passed, self.chain, len(self.id))
        return b"".join((fixed, self.id, bytes((len(self.comment),)), self.comment))


def unpack_position(data: bytes) -> tuple[EventPosition, bytes]:
    """Return the position at the beginning of `data`, and the rest; raise `BadToken` if it is truncated."""
    try:
        count, chain, size = _FIXED.unpack_from(data)
        at = _FIXED.size + size
        stop = at + 1 + data[at]
    except (struct.error, IndexError) as exc:
        raise BadToken(f"a truncated position: {exc}") from None
    if stop > len(data):
        raise BadToken("a truncated position")
    return EventPosition(data[_FIXED.size : at], count, chain, data[at + 1 : stop]), data[stop:]
