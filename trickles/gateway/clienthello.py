"""The protocols that a TLS client offers, read from its first message, since Python's TLS hides them.

RFC 7301 section 3.2: a server that supports none of them answers with a fatal alert. Python lets OpenSSL go on without
a protocol instead, and a client of another one (HTTP/2 alone) waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from trickles.errors import BadPacket

MOST_HELLO_BYTES = 1 << 16  # with keys that resist quantum computers a hello has a few kB
NO_APPLICATION_PROTOCOL = bytes((21, 3, 3, 0, 2, 2, 120))  # an alert record: fatal, RFC 7301 section 3.2
_HANDSHAKE, _CLIENT_HELLO, _ALPN = 22, 1, 16
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_FIXED = 2 + 32  # version and random


def protocols_untrusted(data: bytes | bytearray) -> tuple[bytes, ...] | None:
    """Return the protocols offered in the ClientHello at the start of `data`, () if none; None while incomplete.

    BadPacket for anything else: OpenSSL then reports what is wrong.
    """
    message = _message_untrusted(data)
    if message is None:
        return None
    body = _Reader(message)
    body.skip(_FIXED)
    body.vector(1)  # the session
    body.vector(2)  # cipher suites
    body.vector(1)  # compressions
    if not body.left:
        return ()
    extensions = _Reader(body.vector(2))
    while extensions.left:
        kind = extensions.number(2)
        content = extensions.vector(2)
        if kind == _ALPN:
            return tuple(_names(_Reader(_Reader(content).vector(2))))
    return ()


def _message_untrusted(data: bytes | bytearray) -> bytes | None:
    """Return the body of the first handshake message, joined from its records; None while incomplete."""
    joined, at = bytearray(), 0
    while len(joined) < _MESSAGE_HEADER or len(joined) < _MESSAGE_HEADER + int.from_bytes(joined[1:4], "big"):
        if at < len(data) and data[at] != _HANDSHAKE:
            raise BadPacket("no handshake record")
        if len(data) < at + _RECORD_HEADER:
            return None
        size = int.from_bytes(data[at + 3 : at + _RECORD_HEADER], "big")
        at += _RECORD_HEADER
        joined += data[at : at + size]
        if joined and joined[0] != _CLIENT_HELLO:
            raise BadPacket("no ClientHello")
        if len(data) < at + size:
            return None
        at += size
    return bytes(joined[_MESSAGE_HEADER : _MESSAGE_HEADER + int.from_bytes(joined[1:4], "big")])


def _names(reader: _Reader) -> Iterator[bytes]:
    while reader.left:
        yield reader.vector(1)


class _Reader:
    """A reader of numbers and vectors of TLS (RFC 8446 section 3.4); BadPacket beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def skip(self, size: int) -> bytes:
        if size > self.left:
            raise BadPacket("a ClientHello that is cut")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.skip(size), "big")

    def vector(self, size: int) -> bytes:
        """Return the next vector, after its length in `size` bytes."""
        return self.skip(self.number(size))
