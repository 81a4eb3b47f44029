"""Continuations sealed by a connection that seals only one: its cache plays no part."""

from trickles.continuation import Seals
from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.service import Continuation
from trickles.wire.transport import TransportState


def seal_transport(ring: Keyring, connection: bytes, state: TransportState, *, nonce: bytes, now: int) -> bytes:
    """The transport continuation of `connection`."""
    return Seals(connection, b"").transport(ring, state, nonce, now)


def seal_user(ring: Keyring, identity: bytes, value: Continuation, *, nonce: bytes, now: int, limits: Limits) -> bytes:
    """The sealed form of what a service wants back; ContinuationTooLarge when it would not fit a packet."""
    return Seals(b"", identity).user(ring, value, nonce, now, limits.max_user_continuation_bytes)
