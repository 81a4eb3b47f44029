"""The handshake's datagrams: hello, cookie, certificate and the request for one.

HELLO: kind (1) | suite (1) | epoch (4) | cookie (24, zero when none) | HPKE share (32) and ciphertext, padded to at
least 1,200 bytes. Inside: secret (32) | largest datagram (2) | flags (1) | bytes wanted (4) | input length (2) |
input | zeros.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from trickles.errors import BadPacket
from trickles.wire.kinds import Kind, Suite

_HELLO = struct.Struct(">BBI24s")
_INSIDE = struct.Struct(">32sHBIH")
_CERTIFICATE = struct.Struct(">IQQ32s32s64s")
COOKIE_BYTES = 24
NO_COOKIE = bytes(COOKIE_BYTES)
HPKE_OVERHEAD = 32 + 16
HELLO_HEADER_BYTES = _HELLO.size
INSIDE_BYTES = _INSIDE.size
CERTIFICATE_BYTES = _CERTIFICATE.size
ASK_BYTES = 200  # more than a certificate, so that asking for one amplifies nothing
INPUT_END = 1


@dataclass(frozen=True, slots=True)
class Hello:
    """The clear part of a hello and its sealed rest."""

    suite: Suite
    epoch: int
    cookie: bytes
    sealed: bytes

    def encode(self) -> bytes:
        return _HELLO.pack(Kind.HELLO, self.suite, self.epoch, self.cookie) + self.sealed

    def bound(self) -> bytes:
        """Return the bytes that the HPKE context binds: all but the cookie, which a second try adds."""
        return _HELLO.pack(Kind.HELLO, self.suite, self.epoch, NO_COOKIE)


@dataclass(frozen=True, slots=True)
class HelloInside:
    """The sealed part of a hello: the connection's secret and early input."""

    secret: bytes
    datagram_bytes: int
    input_end: bool
    wanted: int
    input: bytes

    def encode(self, total: int) -> bytes:
        """Return the plaintext, padded with zeros to `total` bytes."""
        flags = INPUT_END if self.input_end else 0
        head = _INSIDE.pack(self.secret, self.datagram_bytes, flags, self.wanted, len(self.input))
        return (head + self.input).ljust(total, b"\0")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: the fleet's identity signs one epoch's hello key."""

    epoch: int
    not_before: int
    not_after: int
    hello_key: bytes
    identity: bytes
    signature: bytes

    def encode(self) -> bytes:
        """Return 148 bytes; times are in microseconds since 1970."""
        return _CERTIFICATE.pack(
            self.epoch, self.not_before, self.not_after, self.hello_key, self.identity, self.signature
        )

    def signed(self) -> bytes:
        """Return the bytes that the identity key signs."""
        return b"trickles 1 certificate" + self.encode()[:-64]


def parse_hello_untrusted(datagram: bytes, least: int) -> Hello:
    """Parse a hello; BadPacket when it is shorter than `least` bytes or malformed."""
    if len(datagram) < least:
        raise BadPacket("hello is not padded")
    try:
        _, suite, epoch, cookie = _HELLO.unpack_from(datagram)
        return Hello(Suite(suite), epoch, cookie, datagram[HELLO_HEADER_BYTES:])
    except (struct.error, ValueError):
        raise BadPacket("malformed hello") from None


def parse_inside_untrusted(plaintext: bytes) -> HelloInside:
    """Parse the sealed part of a hello; BadPacket when the counts do not fit."""
    try:
        secret, size, flags, wanted, length = _INSIDE.unpack_from(plaintext)
    except struct.error:
        raise BadPacket("malformed hello") from None
    data = plaintext[INSIDE_BYTES : INSIDE_BYTES + length]
    if len(data) != length or flags & ~INPUT_END:
        raise BadPacket("malformed hello")
    return HelloInside(secret, size, bool(flags & INPUT_END), wanted, data)


def parse_certificate_untrusted(data: bytes) -> Certificate:
    """Undo `Certificate.encode`; the signature is not checked."""
    try:
        return Certificate(*_CERTIFICATE.unpack(data))
    except struct.error:
        raise BadPacket("malformed certificate") from None
