"""Questions about requests at work, and goodbyes.

AWAIT: as a request, its body being flags (1) | count (1) | request numbers (4 each). Without LEAVES it asks whether the
replica is at work on these requests, and renews them; with LEAVES the client has left, and no number is named. With
OTHERS follow a count (1) and requests of other connections from the same host, each with the beginning of its
connection's identity (8) and its number (4): one datagram renews many. AWAITED: a response header (kind AWAITED, the
AWAIT's number in place of the packet number, the replica's incarnation in place of the nonce, in place of the offset a
mask of the named requests that are at work: bit 0 for the first, others last; LOOKED if it covers others) | tag (16).

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
MOST_OTHERS = 51  # as many as the mask has room for
LEAVES: Final = 1  # flag: the client has left, and wants none of its answers
OTHERS: Final = 2  # flag: requests of other connections are named too
LOOKED: Final = 1 << 63  # in the mask; older replicas do not know of others
NAME_BYTES = 8
_COUNTS = struct.Struct(">BB")
_OTHER = struct.Struct(f">{NAME_BYTES}sI")
_BODY_BYTES = MIN_REQUEST_BYTES - REQUEST_HEADER_BYTES - REQUEST_TAG_BYTES


class Question(NamedTuple):
    """An AWAIT's body: own requests by number, those of other connections by name and number."""

    flags: int
    numbers: tuple[int, ...]
    others: tuple[tuple[bytes, int], ...] = ()


class Awaited(NamedTuple):
    """The answer to the AWAIT `number`: bit i of `mask` is set if the i-th named request is at work."""

    number: int
    incarnation: int
    mask: int

    def clear(self, salt: bytes) -> bytes:
        """Return the 32 bytes before the tag."""
        number, incarnation, mask = self
        return HEADER.pack(Kind.AWAITED, 0, number & 0xFFFF, salt, number, incarnation, mask)


def connection_name(identity: bytes) -> bytes:
    """Return the name of a connection towards replicas: only its client and the fleet can know it."""
    return identity[:NAME_BYTES]


def await_body(numbers: Sequence[int], flags: int = 0, others: Sequence[tuple[bytes, int]] = ()) -> bytes:
    """Return the body of an AWAIT, of fixed length without `others`; ValueError for more than the bounds."""
    if len(numbers) > MOST_AWAITED or len(others) > MOST_OTHERS:
        raise ValueError(f"an AWAIT names at most {MOST_AWAITED} requests, and {MOST_OTHERS} of others")
    flags |= OTHERS if others else 0
    own = _COUNTS.pack(flags, len(numbers)) + struct.pack(f">{len(numbers)}I", *numbers)
    named = bytes((len(others),)) + b"".join([_OTHER.pack(*each) for each in others]) if others else b""
    return (own + named).ljust(_BODY_BYTES, b"\0")


def parse_await_untrusted(body: bytes) -> Question:
    """Parse an AWAIT's body."""
    try:
        flags, count = _COUNTS.unpack_from(body)
        numbers = struct.unpack_from(f">{min(count, MOST_AWAITED)}I", body, _COUNTS.size)
        others = _others(body, _COUNTS.size + 4 * count) if flags & OTHERS else ()
    except (struct.error, IndexError):
        raise BadPacket("truncated await") from None
    if count > MOST_AWAITED:
        raise BadPacket("an await names too many requests")
    return Question(flags, numbers, others)


def _others(body: bytes, at: int) -> tuple[tuple[bytes, int], ...]:
    count = body[at]
    if count > MOST_OTHERS:
        raise BadPacket("an await names too many requests of others")
    return tuple([_OTHER.unpack_from(body, at + 1 + _OTHER.size * each) for each in range(count)])


def parse_awaited_untrusted(datagram: bytes) -> tuple[Awaited, bytes, bytes]:
    """Parse an AWAITED; return it with its clear part and its tag."""
    if len(datagram) != HEADER_BYTES + TAG_BYTES:
        raise BadPacket("malformed awaited")
    _, _, _, _, number, incarnation, mask = HEADER.unpack_from(datagram)
    return Awaited(number, incarnation, mask), datagram[:-TAG_BYTES], datagram[-TAG_BYTES:]
