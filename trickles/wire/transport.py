"""The transport continuation: all state that the server would otherwise keep, 128 bytes sealed.

Layout: connection id (8) | sealed value (epoch 4, nonce 12, 88 + tag 16), see `keyring`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from trickles.errors import BadPacket
from trickles.law import LAWS
from trickles.trickle import Episode
from trickles.wire.kinds import Suite

CONNECTION_BYTES = 8
BLOB_BYTES = 128
NONCE_SECRET_BYTES = 12  # of a nonce key; the other four are the tag of the greeting replica's store
# suite and flags, law, issued, address, datagram size, base, start, ssthresh, secrets
_STATE = struct.Struct(">BBQ16sHIII32s16s")
_EMBRYO = 0x80


@dataclass(slots=True)
class TransportState:
    """The sealed state: `embryo` marks an unvalidated address; `issued` is in microseconds since 1970.

    `secret` (32 bytes) is the client's, traffic keys come from it; `nonce_key` (16 bytes) is the server's alone: 12
    bytes of key and the tag of a store.
    """

    suite: Suite
    embryo: bool
    issued: int
    address: bytes
    datagram_bytes: int
    episode: Episode
    secret: bytes
    nonce_key: bytes

    @property
    def store_tag(self) -> bytes:
        """The tag of the store of the replica that greeted the connection, see `stores`."""
        return self.nonce_key[NONCE_SECRET_BYTES:]

    def encode(self) -> bytes:
        """Return 88 bytes, fixed layout, big endian."""
        base, start, ssthresh, law = self.episode
        first, size, secret = self.suite | _EMBRYO if self.embryo else self.suite, self.datagram_bytes, self.secret
        return _STATE.pack(first, law, self.issued, self.address, size, base, start, ssthresh, secret, self.nonce_key)


def decode_untrusted(data: bytes) -> TransportState:
    """Undo `encode`; BadPacket for bytes that it cannot have made."""
    try:
        first, law, issued, address, size, base, start, ssthresh, secret, nonce_key = _STATE.unpack(data)
        suite = Suite(first & ~_EMBRYO)
    except (struct.error, ValueError):
        raise BadPacket("malformed transport state") from None
    if law not in LAWS:
        raise BadPacket("unknown law")
    episode = Episode(base, start, ssthresh, law)
    return TransportState(suite, bool(first & _EMBRYO), issued, address, size, episode, secret, nonce_key)
