"""Bursts in captures: with segmentation offload one captured datagram holds many, back to back.

A capture does not show the boundaries, but neighbours in a burst share identifying bytes: the request number and salt
of one reply, or the continuation of requests.
"""

from __future__ import annotations

from trickles.wire.kinds import Kind
from trickles.wire.response import HEADER_BYTES
from trickles.wire.transport import BLOB_BYTES

_REPLY = slice(2, 12)  # low half of the request number, salt
_SPEAKER = slice(0, 1 + BLOB_BYTES)  # kind, continuation
_SHARED: dict[int, slice] = {
    Kind.RESPONSE: _REPLY,
    Kind.REQUEST: _SPEAKER,
    Kind.PIECE: _SPEAKER,
    Kind.PING: _SPEAKER,
    Kind.AWAIT: _SPEAKER,
}


def segments(payload: bytes) -> list[bytes]:
    """Return the datagrams in one captured UDP payload."""
    size = segment_bytes(payload)
    return [payload[at : at + size] for at in range(0, len(payload), size)] or [payload]


def segment_bytes(payload: bytes) -> int:
    """Return the size of the first datagram in `payload`: up to its neighbour of the same burst, or to the end."""
    shared = _SHARED.get(payload[0]) if payload else None
    if shared is None or len(payload) < shared.stop:
        return max(len(payload), 1)
    at = payload.find(payload[shared], shared.stop)
    size = at - shared.start
    whole = at < 0 or size < HEADER_BYTES or payload[size] != payload[0]
    return len(payload) if whole else size
