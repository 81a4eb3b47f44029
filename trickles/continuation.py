"""Sealing and opening continuations under the fleet's keyring."""

from __future__ import annotations

import struct

from trickles.errors import BadPacket, ContinuationTooLarge, Forged, UnknownEpoch
from trickles.keyring import Keyring, Purpose, Sealer
from trickles.limits import SECOND
from trickles.service import Continuation
from trickles.wire.coverage import read_stop, stop_field
from trickles.wire.transport import BLOB_BYTES, CONNECTION_BYTES, TransportState, decode_untrusted

_USER = struct.Struct(">QQQQ")
TRUSTED_FOR = 10 * SECOND  # an opened user continuation is not checked again for its age
_ANY_TIME = 1 << 64
_NONE_KNOWN = b"", Continuation(b"", 0, None, 0), -1


class Seals:
    """Seals and opens the continuations of one connection; it makes the ciphers of each epoch once.

    `connection` is the label in clear; user continuations are sealed for `identity`.
    """

    __slots__ = (
        "_connection",
        "_head",
        "_identity",
        "_known",
        "_prefix",
        "_ring",
        "_start",
        "_stop",
        "_transport",
        "_transport_bound",
        "_user",
        "_user_bound",
    )

    def __init__(self, connection: bytes, identity: bytes) -> None:
        self._connection = connection
        self._identity = identity
        self._ring: Keyring | None = None
        self._known: tuple[bytes, Continuation, int] = _NONE_KNOWN  # the last user continuation sealed or opened

    def transport(self, ring: Keyring, state: TransportState, nonce: bytes, now: int) -> bytes:
        if ring is not self._ring or not self._start <= now < self._stop:
            self._renew(ring, now)
        return self._head + nonce + self._transport(nonce, state.encode(), self._transport_bound)

    def user(self, ring: Keyring, value: Continuation, nonce: bytes, now: int, most_bytes: int) -> bytes:
        if ring is not self._ring or not self._start <= now < self._stop:
            self._renew(ring, now)
        state, start, stop, consumed, more = value
        if len(state) > most_bytes:
            raise ContinuationTooLarge(
                f"user continuation of {len(state)} bytes, at most {most_bytes} fit a packet:"
                " keep the state in a store that all replicas share and put its key here"
            )
        field = stop_field(stop, more=more) if more or stop is None else stop  # hot line: most have an end and no more
        plaintext = _USER.pack(now, start, field, consumed) + state
        blob = self._prefix + nonce + self._user(nonce, plaintext, self._user_bound)
        self._known = blob, value, now + TRUSTED_FOR
        return blob

    def open_user_untrusted(
        self, ring: Keyring, blob: bytes, now: int, life: int, skew: int = _ANY_TIME
    ) -> Continuation:
        """Open a user continuation as `open_user_untrusted` does, but check its age every ten seconds only."""
        known, value, until = self._known
        if blob == known and now <= until:
            return value
        value = open_user_untrusted(ring, self._identity, blob, now=now, life=life, skew=skew)
        self._known = blob, value, now + TRUSTED_FOR
        return value

    def _renew(self, ring: Keyring, now: int) -> None:
        epoch, self._start, self._stop = ring.period(now)
        transport = Sealer(epoch, Purpose.TRANSPORT, self._connection)
        user = Sealer(epoch, Purpose.USER, self._identity)
        self._ring, self._prefix, self._head = ring, transport.prefix, self._connection + transport.prefix
        self._transport, self._transport_bound = transport.encrypt, transport.bound
        self._user, self._user_bound = user.encrypt, user.bound


def open_transport_untrusted(ring: Keyring, blob: bytes) -> tuple[bytes, TransportState]:
    """Return connection id and state; Forged when no live key opens it, BadPacket when its length is wrong."""
    if len(blob) != BLOB_BYTES:
        raise BadPacket("a transport continuation has 128 bytes")
    connection = blob[:CONNECTION_BYTES]
    plaintext = ring.open_untrusted(Purpose.TRANSPORT, connection, blob[CONNECTION_BYTES:])
    return connection, decode_untrusted(plaintext)


def open_user_untrusted(
    ring: Keyring, identity: bytes, blob: bytes, *, now: int, life: int, skew: int = _ANY_TIME
) -> Continuation:
    """Open a user continuation; Forged when it is another connection's, or older than `life` microseconds.

    UnknownEpoch when it was issued more than `skew` ahead of this replica's clock.
    """
    plaintext = ring.open_untrusted(Purpose.USER, identity, blob)
    try:
        issued, start, field, consumed = _USER.unpack_from(plaintext)
    except struct.error:
        raise BadPacket("malformed user continuation") from None
    if now - issued > life:
        raise Forged("user continuation expired")
    if issued - now > skew:
        raise UnknownEpoch("user continuation of another time")
    stop, more = read_stop(field)
    return Continuation(plaintext[_USER.size :], start, stop, consumed, more)
