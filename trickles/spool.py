"""Input larger than a packet lies in a store that all replicas share; telescoping receipts prove what lies there.

A receipt for input bytes [a, b) is s(a) xor s(b), s a keyed function of the store and the offset: the xor over
neighbouring receipts proves the whole stretch with 8 bytes, whichever replicas wrote the pieces into that store. With
another store's receipts among them it proves nothing.

A store never invents bytes. It gives what was written, or fewer bytes: a hole, a piece that was lost, torn or belongs
to another store ends what can be read.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from trickles.keyring import Purpose, expand
from trickles.ranges import RangeSet
from trickles.service import Buffer

STORE_BYTES = 32


class SpoolFull(Exception):
    """The store will not take that piece: the connection's, the host's or the whole store's share is used up."""


class Spool(Protocol):
    """A store of input pieces, keyed by their owner, a connection's identity; writing a piece twice is harmless."""

    @property
    def identity(self) -> bytes:
        """32 bytes that no other store has, nor a copy of this one as far as that can be told."""

    def write(self, owner: bytes, host: bytes, offset: int, data: Buffer) -> bytes:
        """Keep `data` at `offset` of the owner's input; the identity of the store that has it. SpoolFull if none has.

        `host` is 8 bytes: those who share them share a bound.
        """

    def holds(self, owner: bytes, start: int, stop: int) -> bool:
        """True when all of the owner's input bytes [start, stop) are there; InputBusy when that is not known yet."""

    def read(self, owner: bytes, start: int, stop: int, most_pieces: int | None = None) -> bytes:
        """Input bytes from `start` on, up to `stop` or to the first that is not (or no longer) there.

        With `most_pieces` as they were written, if there are more: fewer bytes then, and at least one that is there.
        InputBusy when where they are is not known, or no longer, and takes more work than one reading may be.
        """

    def discard(self, owner: bytes, below: int) -> None:
        """Note that nobody needs the owner's input below that offset much longer."""


class MemorySpool:
    """A spool for tests and for a single process."""

    def __init__(self, most_bytes: int = 1 << 26, identity: bytes = bytes(STORE_BYTES)) -> None:
        self.identity = identity
        self._inputs: dict[bytes, tuple[RangeSet, bytearray]] = {}
        self._most_bytes = most_bytes

    def write(self, owner: bytes, host: bytes, offset: int, data: Buffer) -> bytes:  # noqa: ARG002 - all share alike
        """Keep `data`; SpoolFull beyond the bound of one connection."""
        if offset + len(data) > self._most_bytes:
            raise SpoolFull
        extents, buffer = self._inputs.setdefault(owner, (RangeSet(), bytearray()))
        if len(buffer) < offset:
            buffer.extend(bytes(offset - len(buffer)))
        buffer[offset : offset + len(data)] = data
        extents.add(offset, offset + len(data))
        return self.identity

    def holds(self, owner: bytes, start: int, stop: int) -> bool:
        """True when all of it was written."""
        return start >= stop or (owner in self._inputs and self._inputs[owner][0].contains(start, stop))

    def read(self, owner: bytes, start: int, stop: int, most_pieces: int | None = None) -> bytes:  # noqa: ARG002
        """What is there from `start` on without a gap."""
        if owner not in self._inputs or start >= stop:
            return b""
        extents, buffer = self._inputs[owner]
        gaps = extents.missing(start, stop)
        return bytes(buffer[start : gaps[0][0] if gaps else stop])

    def discard(self, owner: bytes, below: int) -> None:
        """Nothing: a process for tests ends soon."""

    def lose(self, owner: bytes) -> None:
        """Lose that connection's input, as a store may that is swept or restored."""
        self._inputs.pop(owner, None)


@lru_cache(maxsize=1024)  # where one piece ends the next begins
def receipt_mark(nonce_key: bytes, store: bytes, offset: int) -> int:
    """s(offset) in the store of that identity, 64 bits; `nonce_key` is the connection's, known to the server alone."""
    return int.from_bytes(expand(nonce_key, Purpose.SPOOL, store + offset.to_bytes(8, "big"), 8), "big")


def receipt(nonce_key: bytes, store: bytes, start: int, stop: int) -> int:
    """What proves that input bytes [start, stop) lie in the store of that identity."""
    return receipt_mark(nonce_key, store, start) ^ receipt_mark(nonce_key, store, stop)
