"""Refusals: one small datagram with the reason, and the continuation that mends it if there is one.

Layout: as a response header (kind REFUSAL, code in place of the flags, request number in place of packet number; for
WORKING the replica's incarnation in place of the nonce, and in place of the offset the duration of the work so far, in
microseconds; else both are zero), then a transport frame if a continuation helps, then the tag over all of it. WORKING
has one as an answer to a hello: with it the client can ask whether the work goes on, or leave; in place of it, to a
request that waits for news, WORKING may have a heartbeat: the subject of the news (8), its distance in milliseconds (4)
and its bytes, in clear. A replica that cannot open the continuation sends no tag: such a refusal is a hint that proves
nothing.

A request number has one refusal. Only WORKING repeats; of two, the one with the shorter duration is the older, so a
copy can be recognised.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from trickles.errors import BadPacket
from trickles.limits import MILLISECOND
from trickles.service import MOST_HEARTBEAT_BYTES, Heartbeat, Refusal
from trickles.wire.kinds import Kind
from trickles.wire.response import (
    HEADER,
    HEADER_BYTES,
    TAG_BYTES,
    TRANSPORT_FRAME_BYTES,
    TransportFrame,
    parse_transport_untrusted,
)

_MOST_DISTANCE_MS = (1 << 32) - 1
SUBJECT_BYTES = 8
_BEAT = struct.Struct(f">{SUBJECT_BYTES}sI")
_HEARTBEATS = range(_BEAT.size + 1 + TAG_BYTES, _BEAT.size + MOST_HEARTBEAT_BYTES + TAG_BYTES + 1)


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
    heartbeat: Heartbeat | None = None


def refusal_header(code: Refusal, request: int, salt: bytes, worked_us: int = 0, incarnation: int = 0) -> bytes:
    """Return the first 32 bytes of a refusal to that request, which has been worked on for `worked_us`."""
    return HEADER.pack(Kind.REFUSAL, code, request & 0xFFFF, salt, request, incarnation, worked_us)


def heartbeat_frame(heartbeat: Heartbeat) -> bytes:
    """Return the bytes of a heartbeat, whose subject has 8, in a refusal."""
    distance_ms = min(max(heartbeat.every_us // MILLISECOND, 1), _MOST_DISTANCE_MS)
    return _BEAT.pack(heartbeat.subject, distance_ms) + heartbeat.data


def parse_refusal_untrusted(datagram: bytes) -> RefusalHead:
    """Split a refusal; BadPacket for an unknown code or an impossible length."""
    try:
        _, code, _, _, request, incarnation, worked_us = HEADER.unpack_from(datagram)
        refusal = Refusal(code)
    except (struct.error, ValueError):
        raise BadPacket("malformed refusal") from None
    body, heartbeat, frame = len(datagram) - HEADER_BYTES, None, None
    if body == 0 and refusal is Refusal.EPOCH:
        return RefusalHead(refusal, request, None, datagram, b"")
    clear, tag = datagram[:-TAG_BYTES], datagram[-TAG_BYTES:]
    if body == TRANSPORT_FRAME_BYTES + TAG_BYTES:
        frame = parse_transport_untrusted(datagram, HEADER_BYTES)
    elif body in _HEARTBEATS and refusal is Refusal.WORKING:
        subject, distance_ms = _BEAT.unpack_from(clear, HEADER_BYTES)
        heartbeat = Heartbeat(clear[HEADER_BYTES + _BEAT.size :], distance_ms * MILLISECOND, subject)
    elif body != TAG_BYTES:
        raise BadPacket("refusal of impossible length")
    return RefusalHead(refusal, request, frame, clear, tag, worked_us, incarnation, heartbeat)
