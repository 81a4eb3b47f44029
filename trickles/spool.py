"""Input larger than a packet goes to a store that all replicas share; receipts prove its presence.

A receipt for input bytes [a, b) is s(a) xor s(b), s a keyed function of the store and the offset: the xor over
neighbouring receipts proves the whole stretch with 8 bytes, whichever replicas wrote the pieces into that store. With
another store's receipts among them it proves nothing.

A store never invents bytes. It gives the bytes that were written, or fewer: a hole, or a piece that was lost, torn or
written for another store, ends what can be read.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from trickles.keyring import Purpose, expand
from trickles.promise import Promise
from trickles.ranges import RangeSet
from trickles.service import Buffer

STORE_BYTES = 32


class SpoolFull(Exception):
    """The store refuses a piece: the share of the connection, the host or the whole store is used up."""


Kept = bytes | SpoolFull | None  # a piece: the identity of the store that has it; refused; or nobody knows


class Spool(Protocol):
    """A store of input pieces, keyed by their owner, a connection's identity; writing a piece twice is harmless.

    A store over a network does not let its caller wait: `write` returns a promise, and `holds` and `read` raise
    InputBusy with one for what they must fetch first.
    """

    @property
    def identity(self) -> bytes:
        """32 bytes that no other store has, nor a copy of this one as far as it can be distinguished."""

    def write(self, owner: bytes, host: bytes, offset: int, data: Buffer) -> bytes | Promise[Kept]:
        """Keep `data` at `offset` of the owner's input; return the store's identity. SpoolFull if it is not kept.

        `host` is 8 bytes: all clients of a host share a bound. `data` must not change until a promise is resolved.
        """

    def holds(self, owner: bytes, start: int, stop: int) -> bool:
        """Return True when all input bytes [start, stop) of the owner are there; InputBusy while that is not known."""

    def read(self, owner: bytes, start: int, stop: int, most_pieces: int | None = None) -> bytes:
        """Return input bytes from `start` on, up to `stop` or to the first missing one.

        With `most_pieces`, at most so many pieces as they were written, but at least one byte that is there. InputBusy
        when their places are not known, and take more work to find than one read may.
        """

    def discard(self, owner: bytes, below: int) -> None:
        """Note that the owner's input below that offset will soon not be needed."""


class MemorySpool:
    """A spool for tests and for a single process."""

    def __init__(self, most_bytes: int = 1 << 26, identity: bytes = bytes(STORE_BYTES)) -> None:
        self.identity = identity
        self._inputs: dict[bytes, tuple[RangeSet, bytearray]] = {}
        self._most_bytes = most_bytes

    def write(self, owner: bytes, host: bytes, offset: int, data: Buffer) -> bytes:  # noqa: ARG002 - all share alike
        """Keep `data`; SpoolFull above the bound of one connection."""
        if offset + len(data) > self._most_bytes:
            raise SpoolFull
        extents, buffer = self._inputs.setdefault(owner, (RangeSet(), bytearray()))
        if len(buffer) < offset:
            buffer.extend(bytes(offset - len(buffer)))
        buffer[offset : offset + len(data)] = data
        extents.add(offset, offset + len(data))
        return self.identity

    def holds(self, owner: bytes, start: int, stop: int) -> bool:
        return start >= stop or (owner in self._inputs and self._inputs[owner][0].contains(start, stop))

    def read(self, owner: bytes, start: int, stop: int, most_pieces: int | None = None) -> bytes:  # noqa: ARG002
        if owner not in self._inputs or start >= stop:
            return b""
        extents, buffer = self._inputs[owner]
        gaps = extents.missing(start, stop)
        return bytes(buffer[start : gaps[0][0] if gaps else stop])

    def discard(self, owner: bytes, below: int) -> None:
        """Do nothing: a process for tests ends soon."""

    def lose(self, owner: bytes) -> None:
        """Lose that connection's input, as a swept or restored store may."""
        self._inputs.pop(owner, None)


@lru_cache(maxsize=1024)  # where one piece ends the next begins
def receipt_mark(nonce_key: bytes, store: bytes, offset: int) -> int:
    """Return s(offset) in that store, 64 bits; `nonce_key` is the connection's and known to servers alone."""
    return int.from_bytes(expand(nonce_key, Purpose.SPOOL, store + offset.to_bytes(8, "big"), 8), "big")


def receipt(nonce_key: bytes, store: bytes, start: int, stop: int) -> int:
    """Return the receipt for input bytes [start, stop) in the store of that identity."""
    return receipt_mark(nonce_key, store, start) ^ receipt_mark(nonce_key, store, stop)
