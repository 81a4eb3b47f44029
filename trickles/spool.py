"""Input larger than a packet lies in a store that all replicas share; telescoping receipts prove what lies there.

A receipt for input bytes [a, b) is s(a) xor s(b), s a keyed function of the offset: the xor over neighbouring receipts
proves the whole stretch with 8 bytes, whichever replicas wrote the pieces.
"""

from __future__ import annotations

from typing import Protocol

from trickles.keyring import Purpose, expand


class SpoolFull(Exception):
    """The store will not take that piece: the connection's, the client's or the whole store's share is used up."""


class Spool(Protocol):
    """A store of input pieces, keyed by connection; writing the same piece twice is harmless."""

    def write(self, connection: bytes, offset: int, data: bytes) -> None:
        """Keep `data` at `offset` of that connection's input; SpoolFull when it does not fit."""

    def read(self, connection: bytes, start: int, stop: int) -> bytes:
        """Input bytes [start, stop); fewer when they are not (or no longer) there."""

    def discard(self, connection: bytes) -> None:
        """Forget that connection's input."""


class MemorySpool:
    """A spool for tests and for a single process."""

    def __init__(self, most_bytes: int = 1 << 26) -> None:
        self._inputs: dict[bytes, bytearray] = {}
        self._most_bytes = most_bytes

    def write(self, connection: bytes, offset: int, data: bytes) -> None:
        """Keep `data`; SpoolFull beyond the bound of one connection."""
        if offset + len(data) > self._most_bytes:
            raise SpoolFull
        buffer = self._inputs.setdefault(connection, bytearray())
        if len(buffer) < offset:
            buffer.extend(bytes(offset - len(buffer)))
        buffer[offset : offset + len(data)] = data

    def read(self, connection: bytes, start: int, stop: int) -> bytes:
        """What is there of [start, stop)."""
        return bytes(self._inputs.get(connection, b"")[start:stop])

    def discard(self, connection: bytes) -> None:
        """Forget that connection's input."""
        self._inputs.pop(connection, None)


def receipt_mark(nonce_key: bytes, offset: int) -> int:
    """s(offset), 64 bits; `nonce_key` is the connection's, known to the server alone."""
    return int.from_bytes(expand(nonce_key, Purpose.SPOOL, offset.to_bytes(8, "big"), 8), "big")


def receipt(nonce_key: bytes, start: int, stop: int) -> int:
    """What proves that input bytes [start, stop) were spooled."""
    return receipt_mark(nonce_key, start) ^ receipt_mark(nonce_key, stop)
