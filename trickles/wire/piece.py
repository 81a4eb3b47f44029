"""Pieces of input for the spool, and their receipts.

PIECE: as a request, its body being offset (8) | bytes. RECEIPT: a response header (kind RECEIPT, the request number in
place of the packet number, the receipt in place of the nonce, the piece's start as offset) | stop (8) | tag (16).
COMMIT, in a request: the input is start (8) | stop (8) | receipt (8): [start, stop) lies in the spool, and the part of
it from the request's input offset on is offered.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from trickles.errors import BadPacket
from trickles.service import Buffer
from trickles.wire.kinds import Kind
from trickles.wire.request import HEADER_BYTES as REQUEST_HEADER_BYTES
from trickles.wire.request import MIN_REQUEST_BYTES
from trickles.wire.request import TAG_BYTES as REQUEST_TAG_BYTES
from trickles.wire.response import HEADER, HEADER_BYTES, TAG_BYTES

_OFFSET = struct.Struct(">QH")
_STOP = struct.Struct(">Q")
_COMMIT = struct.Struct(">QQQ")
PIECE_OVERHEAD = REQUEST_HEADER_BYTES + _OFFSET.size + REQUEST_TAG_BYTES
_LEAST_BODY = MIN_REQUEST_BYTES - REQUEST_HEADER_BYTES - REQUEST_TAG_BYTES


@dataclass(frozen=True, slots=True)
class Receipt:
    """Input bytes [start, stop) lie in the spool, as an answer to that request number."""

    request: int
    start: int
    stop: int
    proof: int

    def clear(self, salt: bytes) -> bytes:
        request = self.request
        return HEADER.pack(Kind.RECEIPT, 0, request & 0xFFFF, salt, request, self.proof, self.start) + _STOP.pack(
            self.stop
        )


def piece_body(offset: int, data: bytes) -> bytes:
    """Return the body of a piece, padded to the least request."""
    return (_OFFSET.pack(offset, len(data)) + data).ljust(_LEAST_BODY, b"\0")


def parse_piece_untrusted(body: Buffer) -> tuple[int, Buffer]:
    """Parse the body of a piece: offset and bytes."""
    try:
        offset, length = _OFFSET.unpack_from(body)
    except struct.error:
        raise BadPacket("malformed piece") from None
    data = memoryview(body)[_OFFSET.size : _OFFSET.size + length]  # a piece may be large: it is not copied
    if not length or len(data) != length or offset >= 1 << 63:
        raise BadPacket("malformed piece")
    return offset, data


def parse_receipt_untrusted(datagram: bytes) -> tuple[Receipt, bytes, bytes]:
    """Parse a receipt; return it with its clear part and its tag."""
    if len(datagram) != HEADER_BYTES + _STOP.size + TAG_BYTES:
        raise BadPacket("malformed receipt")
    _, _, _, _, request, proof, start = HEADER.unpack_from(datagram)
    (stop,) = _STOP.unpack_from(datagram, HEADER_BYTES)
    return Receipt(request, start, stop, proof), datagram[:-TAG_BYTES], datagram[-TAG_BYTES:]


def commit_body(start: int, stop: int, proof: int) -> bytes:
    """Return what a commit carries in place of input."""
    return _COMMIT.pack(start, stop, proof)


def parse_commit_untrusted(data: bytes) -> tuple[int, int, int]:
    """Parse a commit: start, stop and proof."""
    try:
        start, stop, proof = _COMMIT.unpack(data)
    except struct.error:
        raise BadPacket("malformed commit") from None
    return start, stop, proof
