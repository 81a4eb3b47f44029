"""Refusals: one small datagram that says why there is no answer, and brings what mends it.

Layout: as a response header (kind REFUSAL, code in place of the flags, request number in place of packet number, zero
nonce; in place of the offset how long the work has lasted, in microseconds, which is zero but for WORKING), then a
transport frame when a fresh continuation mends the matter, then the tag over all of it. A refusal from a replica that
could not open the continuation has no tag: it is a hint, never believed.

A request number has one refusal. WORKING alone comes again; of two of them the one that says less is the older, so that
a copy of it can be told from news.
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


def refusal_header(code: Refusal, request: int, salt: bytes, worked_us: int = 0) -> bytes:
    """The first 32 bytes of a refusal to the request of that number, on which work has gone on for so long."""
    return HEADER.pack(Kind.REFUSAL, code, request & 0xFFFF, salt, request, 0, worked_us)


def parse_refusal_untrusted(datagram: bytes) -> RefusalHead:
    """Split a refusal; BadPacket for an unknown code or an impossible length."""
    try:
        _, code, _, _, request, _, worked_us = HEADER.unpack_from(datagram)
        refusal = Refusal(code)
    except (struct.error, ValueError):
        raise BadPacket("malformed refusal") from None
    body = len(datagram) - HEADER_BYTES
    if body == 0 and refusal is Refusal.EPOCH:
        return RefusalHead(refusal, request, None, datagram, b"")
    if body == TAG_BYTES:
        return RefusalHead(refusal, request, None, datagram[:-TAG_BYTES], datagram[-TAG_BYTES:], worked_us)
    if body == TRANSPORT_FRAME_BYTES + TAG_BYTES:
        frame = parse_transport_untrusted(datagram, HEADER_BYTES)
        return RefusalHead(refusal, request, frame, datagram[:-TAG_BYTES], datagram[-TAG_BYTES:])
    raise BadPacket("refusal of impossible length")
