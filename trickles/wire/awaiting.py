"""Questions about requests at work, and goodbyes.

AWAIT: as a request, its body being flags (1) | count (1) | request numbers (4 each). Without LEAVES it asks whether the
replica is at work on these requests, and renews them; with LEAVES the client has left, and no number is named. AWAITED:
a response header (kind AWAITED, the AWAIT's number in place of the packet number, the replica's incarnation in place of
the nonce, in place of the offset a mask of the named requests that are at work: bit 0 for the first) | tag (16).

An AWAITED answers exactly one AWAIT, so a copy of an older one proves nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from trickles.errors import BadPacket
from trickles.wire.kinds import Kind
from trickles.wire.request import HEADER_BYTES as REQUEST_HEADER_BYTES
from trickles.wire.request import MIN_REQUEST_BYTES
from trickles.wire.request import TAG_BYTES as REQUEST_TAG_BYTES
from trickles.wire.response import HEADER, HEADER_BYTES, TAG_BYTES

MOST_AWAITED = 12  # as many as fit the least request
LEAVES: Final = 1  # flag: the client has left, and wants none of its answers
_COUNTS = struct.Struct(">BB")
_BODY_BYTES = MIN_REQUEST_BYTES - REQUEST_HEADER_BYTES - REQUEST_TAG_BYTES


class Awaited(NamedTuple):
    """The answer to the AWAIT `number`: bit i of `mask` is set if the i-th named request is at work."""

    number: int
    incarnation: int
    mask: int

    def clear(self, salt: bytes) -> bytes:
        """Return the 32 bytes before the tag."""
        number, incarnation, mask = self
        return HEADER.pack(Kind.AWAITED, 0, number & 0xFFFF, salt, number, incarnation, mask)


def await_body(numbers: Sequence[int], flags: int = 0) -> bytes:
    """Return the body of an AWAIT, of fixed length; ValueError for more than MOST_AWAITED numbers."""
    if len(numbers) > MOST_AWAITED:
        raise ValueError(f"an AWAIT names at most {MOST_AWAITED} requests")
    return (_COUNTS.pack(flags, len(numbers)) + struct.pack(f">{len(numbers)}I", *numbers)).ljust(_BODY_BYTES, b"\0")


def parse_await_untrusted(body: bytes) -> tuple[int, tuple[int, ...]]:
    """Return the flags and the request numbers of an AWAIT's body."""
    try:
        flags, count = _COUNTS.unpack_from(body)
        numbers = struct.unpack_from(f">{min(count, MOST_AWAITED)}I", body, _COUNTS.size)
    except struct.error:
        raise BadPacket("truncated await") from None
    if count > MOST_AWAITED:
        raise BadPacket("an await names too many requests")
    return flags, numbers


def parse_awaited_untrusted(datagram: bytes) -> tuple[Awaited, bytes, bytes]:
    """Parse an AWAITED; return it with its clear part and its tag."""
    if len(datagram) != HEADER_BYTES + TAG_BYTES:
        raise BadPacket("malformed awaited")
    _, _, _, _, number, incarnation, mask = HEADER.unpack_from(datagram)
    return Awaited(number, incarnation, mask), datagram[:-TAG_BYTES], datagram[-TAG_BYTES:]
