"""Traffic keys of one connection, derived from its secret, and their use in each suite."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trickles.errors import Forged
from trickles.keyring import Purpose, expand
from trickles.service import Buffer
from trickles.wire.kinds import Suite
from trickles.wire.response import NONCE
from trickles.wire.transport import CONNECTION_BYTES

TAG_BYTES = 16
Datagram = TypeVar("Datagram", bytes, memoryview)
NotAuthentic = InvalidTag  # raised by the raw ciphers below
_REQUEST_NONCE_PREFIX = bytes(8)


def connection_id(secret: bytes) -> bytes:
    """Return the public label of a connection; a retransmitted hello has the same one.

    It is short, so two secrets with one label can be found: security must not depend on it.
    """
    return hashlib.sha256(b"trickles 1 connection" + secret).digest()[:CONNECTION_BYTES]


def connection_identity(secret: bytes) -> bytes:
    """Return 32 bytes that no other secret gives: the owner of sealed values, stored input and claims."""
    return expand(secret, Purpose.IDENTITY)


class SessionKeys:
    """Both directions' ciphers. Request nonces count (the client holds state), response nonces bring a random salt.

    `connection` is the label on the wire, `identity` the name that stores know.
    """

    __slots__ = ("_to_server", "connection", "identity", "open_data", "seal_data", "sealed")

    def __init__(self, secret: bytes, suite: Suite) -> None:
        self.connection = connection_id(secret)
        self.identity = connection_identity(secret)
        self.sealed = suite is Suite.SEALED
        self._to_server = AESGCM(expand(secret, Purpose.TO_SERVER, self.connection))
        from_server = AESGCM(expand(secret, Purpose.TO_CLIENT, self.connection))
        # The raw AEAD for the hot loops: (nonce, data, clear) -> sealed, and back (InvalidTag on a mismatch).
        self.seal_data: Callable[[bytes, Buffer, bytes], bytes] = from_server.encrypt
        self.open_data: Callable[[Buffer, Buffer, Buffer], bytes] = from_server.decrypt

    def seal_request(self, header: bytes, body: bytes) -> bytes:
        """Return the whole datagram; the last four bytes of `header` are the request number, unique per connection."""
        nonce = _REQUEST_NONCE_PREFIX + header[-4:]
        if self.sealed:
            return header + self._to_server.encrypt(nonce, body, header)
        return header + body + self._to_server.encrypt(nonce, b"", header + body)

    def open_request_untrusted(self, header: bytes, datagram: Datagram) -> bytes | Datagram:
        """Return the request's body; Forged on a bad tag. Pass a large datagram as a view: slices of it are cheap."""
        nonce = _REQUEST_NONCE_PREFIX + header[-4:]
        try:
            if self.sealed:
                return self._to_server.decrypt(nonce, datagram[len(header) :], header)
            body = datagram[len(header) : -TAG_BYTES]
            self._to_server.decrypt(nonce, datagram[-TAG_BYTES:], header + body)
            return body
        except InvalidTag:
            raise Forged("request does not authenticate") from None

    def tag(self, clear: bytes) -> bytes:
        """Return the tag over a datagram without data (a refusal); the nonce is in its header."""
        return self.seal_data(clear[NONCE], b"", clear)

    def check_untrusted(self, clear: bytes, tag: bytes) -> None:
        """Undo `tag`: Forged when it does not fit."""
        try:
            self.open_data(clear[NONCE], tag, clear)
        except InvalidTag:
            raise Forged("refusal does not authenticate") from None

    def seal_response(self, clear: bytes, data: Buffer, *, tagged: bool) -> list[Buffer]:
        """Return the buffers of one response packet; in suite open the tag covers the clear part, if `tagged`."""
        if self.sealed:
            return [clear, self.seal_data(clear[NONCE], data, clear)]
        return [clear, self.tag(clear), data] if tagged else [clear, data]

    def open_response_untrusted(self, clear: bytes, rest: Buffer, *, tagged: bool) -> Buffer:
        """Undo `seal_response`: return the data; Forged when the tag does not fit."""
        try:
            if self.sealed:
                return self.open_data(clear[NONCE], rest, clear)
            if not tagged:
                return rest
            self.open_data(clear[NONCE], rest[:TAG_BYTES], clear)
            return rest[TAG_BYTES:]
        except InvalidTag:
            raise Forged("response does not authenticate") from None
