"""Refusals: one small datagram with the reason, and the continuation that mends it if there is one.

Layout: as a response header (kind REFUSAL, code in place of the flags, request number in place of packet number; for
WORKING the replica's incarnation in place of the nonce, and in place of the offset the duration of the work so far, in
microseconds; else both are zero), then a transport frame if a continuation helps, then the tag over all of it. WORKING
has one as an answer to a hello: with it the client can ask whether the work goes on, or leave. A replica that cannot
open the continuation sends no tag: such a refusal is a hint that proves nothing.

A request number has one refusal. Only WORKING repeats; of two, the one with the shorter duration is the older, so a
copy can be recognised.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from trickles.errors import BadPacket
from trickles.service import Refusal
from trickles.wire.kinds import Kind
from trickles.wire.response import (
    HEADER,
    HEADER_BYTES,
    TAG_BYTES,
    TRANSPORT_FRAME_BYTES,
    TransportFrame,
    parse_transport_untrusted,
)


@dataclass(frozen=True, slots=True)
class RefusalHead:
    """The clear part of a refusal; `authenticated` says whether a tag follows (and must then be checked)."""

    code: Refusal
    request: int
    transport: TransportFrame | None
    clear: bytes
    tag: bytes
    worked_us: int = 0
    incarnation: int = 0


def refusal_header(code: Refusal, request: int, salt: bytes, worked_us: int = 0, incarnation: int = 0) -> bytes:
    """Return the first 32 bytes of a refusal to that request, which has been worked on for `worked_us`."""
    return HEADER.pack(Kind.REFUSAL, code, request & 0xFFFF, salt, request, incarnation, worked_us)


def parse_refusal_untrusted(datagram: bytes) -> RefusalHead:
    """Split a refusal; BadPacket for an unknown code or an impossible length."""
    try:
        _, code, _, _, request, incarnation, worked_us = HEADER.unpack_from(datagram)
        refusal = Refusal(code)
    except (struct.error, ValueError):
        raise BadPacket("malformed refusal") from None
    body = len(datagram) - HEADER_BYTES
    if body == 0 and refusal is Refusal.EPOCH:
        return RefusalHead(refusal, request, None, datagram, b"")
    if body in (TAG_BYTES, TRANSPORT_FRAME_BYTES + TAG_BYTES):
        frame = parse_transport_untrusted(datagram, HEADER_BYTES) if body > TAG_BYTES else None
        clear, tag = datagram[:-TAG_BYTES], datagram[-TAG_BYTES:]
        return RefusalHead(refusal, request, frame, clear, tag, worked_us, incarnation)
    raise BadPacket("refusal of impossible length")
