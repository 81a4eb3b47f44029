"""Opening of sealed parts with a keyring: continuations, bodies of requests, the inside of hellos."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.continuation import open_transport_untrusted, open_user_untrusted
from trickles.errors import BadPacket
from trickles.handshake import EpochKeys
from trickles.keyring import Keyring
from trickles.nonce import NonceSequence
from trickles.service import Continuation
from trickles.session import SessionKeys
from trickles.wire.hello import Hello, HelloInside
from trickles.wire.transport import TransportState

_MOST = 4096  # opened continuations remembered
_FOR_EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened transport continuation and the ciphers that follow from it."""

    state: TransportState
    session: SessionKeys
    nonces: NonceSequence


class Opener:
    """Opens values that the keyring sealed, of any age; returns None for others."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._opened: dict[bytes, Opened] = {}

    def transport(self, blob: bytes) -> Opened | None:
        """Open a transport continuation of 128 bytes."""
        opened = self._opened.get(blob)
        if opened is None:
            try:
                _, state = open_transport_untrusted(self._keyring, blob)
            except BadPacket:
                return None
            opened = Opened(state, SessionKeys(state.secret, state.suite), NonceSequence(state.nonce_key))
            if len(self._opened) >= _MOST:
                self._opened.clear()
            self._opened[blob] = opened
        return opened

    def user(self, identity: bytes, blob: bytes) -> Continuation | None:
        """Open a user continuation of the connection with that identity."""
        try:
            return open_user_untrusted(self._keyring, identity, blob, now=0, life=_FOR_EVER)
        except BadPacket:
            return None

    def hello(self, hello: Hello) -> HelloInside | None:
        try:
            return EpochKeys(self._keyring.find(hello.epoch)).open_hello_untrusted(hello)
        except BadPacket:
            return None
