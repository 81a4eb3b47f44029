"""Sealing and opening continuations under the fleet's keyring."""

from __future__ import annotations

import struct

from trickles.errors import BadPacket, ContinuationTooLarge, Forged
from trickles.keyring import Keyring, Purpose
from trickles.limits import Limits
from trickles.service import Continuation
from trickles.wire.transport import BLOB_BYTES, CONNECTION_BYTES, TransportState, decode_untrusted

_USER = struct.Struct(">QQQQ")
_OPEN_ENDED = (1 << 64) - 1


def seal_transport(ring: Keyring, connection: bytes, state: TransportState, *, nonce: bytes, now: int) -> bytes:
    """The transport continuation of `connection`, 128 bytes."""
    return connection + ring.seal(Purpose.TRANSPORT, connection, state.encode(), nonce=nonce, now=now)


def open_transport_untrusted(ring: Keyring, blob: bytes) -> tuple[bytes, TransportState]:
    """Connection id and state; Forged when no live key opens it, BadPacket when it has the wrong length."""
    if len(blob) != BLOB_BYTES:
        raise BadPacket("a transport continuation has 128 bytes")
    connection = blob[:CONNECTION_BYTES]
    plaintext = ring.open_untrusted(Purpose.TRANSPORT, connection, blob[CONNECTION_BYTES:])
    return connection, decode_untrusted(plaintext)


def seal_user(
    ring: Keyring, connection: bytes, value: Continuation, *, nonce: bytes, now: int, limits: Limits
) -> bytes:
    """The sealed form of what a service wants back; ContinuationTooLarge when it would not fit a packet."""
    if len(value.state) > limits.max_user_continuation_bytes:
        raise ContinuationTooLarge(
            f"user continuation of {len(value.state)} bytes, at most {limits.max_user_continuation_bytes} fit a packet:"
            " keep the state in a store that all replicas share and put its key here"
        )
    stop = _OPEN_ENDED if value.stop is None else value.stop
    plaintext = _USER.pack(now, value.start, stop, value.consumed) + value.state
    return ring.seal(Purpose.USER, connection, plaintext, nonce=nonce, now=now)


def open_user_untrusted(ring: Keyring, connection: bytes, blob: bytes, *, now: int, life: int) -> Continuation:
    """Undo `seal_user`; Forged when it is not this connection's, or older than `life` microseconds."""
    plaintext = ring.open_untrusted(Purpose.USER, connection, blob)
    try:
        issued, start, stop, consumed = _USER.unpack_from(plaintext)
    except struct.error:
        raise BadPacket("malformed user continuation") from None
    if now - issued > life:
        raise Forged("user continuation expired")
    return Continuation(plaintext[_USER.size :], start, None if stop == _OPEN_ENDED else stop, consumed)
