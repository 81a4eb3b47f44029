"""Cuts a reply into response packets: as many full segments as the grant allows, sealed straight from the buffers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trickles.nonce import NonceSequence
from trickles.service import Buffer
from trickles.session import Session
from trickles.wire.kinds import Address, Burst, Kind, ResponseFlag
from trickles.wire.response import FRAME_FLAGS, HEADER, HEADER_BYTES, TAG_BYTES

Chunk = tuple[int, Buffer]
_RESPONSE = int(Kind.RESPONSE)


class Control(NamedTuple):
    """Frames in clear for the first `copies` packets, and their flags: a lost packet must not lose them."""

    flags: int = 0
    frames: bytes = b""
    copies: int = 0


NO_CONTROL = Control()


class Grant(NamedTuple):
    """Packet numbers [start, stop) for one request, the source of their nonces, and the datagram size to fill."""

    request: int
    start: int
    stop: int
    nonces: NonceSequence
    datagram_bytes: int
    salt: bytes


def room_bytes(session: Session, datagram_bytes: int, control: Control = NO_CONTROL) -> int:
    """Bytes of data that fit one response packet with those frames."""
    tagged = session.sealed or control.flags & FRAME_FLAGS
    return datagram_bytes - HEADER_BYTES - len(control.frames) - (TAG_BYTES if tagged else 0)


def budget_bytes(session: Session, grant: Grant, control: Control) -> int:
    """Bytes of data that fit the whole grant."""
    marked = min(control.copies, grant.stop - grant.start)
    plain = grant.stop - grant.start - marked
    return marked * room_bytes(session, grant.datagram_bytes, control) + plain * room_bytes(
        session, grant.datagram_bytes
    )


def packets(
    session: Session, destination: Address, grant: Grant, chunks: Iterable[Chunk], control: Control, end: int | None
) -> list[Burst]:
    """The reply's datagrams, grouped into bursts of equal segments; data beyond the grant is left for later requests.

    With no data at all one empty packet still goes out: it carries the control frames and keeps the client informed.
    """
    pieces = _cut(coalesced(chunks), session, grant, control) or [(end or 0, b"")]
    proofs = grant.nonces.proofs(grant.start, grant.start + len(pieces))
    last = len(pieces) - 1
    marked = min(control.copies, last)
    parts = [_packet(session, grant, index, pieces[index], proofs[index], control) for index in range(marked)]
    parts += _plain(session, grant, pieces, proofs, marked, last)
    parts.append(_last(session, grant, pieces, proofs[last], control, end))
    return _grouped(destination, grant.datagram_bytes, parts)


def coalesced(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Neighbouring chunks joined, so that a packet may straddle them; a lone chunk is not copied."""
    groups: list[tuple[int, int, list[Buffer]]] = []
    for offset, data in chunks:
        size = len(data)
        if groups and groups[-1][1] == offset:
            start, _, parts = groups[-1]
            parts.append(data)
            groups[-1] = (start, offset + size, parts)
        elif size:
            groups.append((offset, offset + size, [data]))
    return [(start, parts[0] if len(parts) == 1 else b"".join(parts)) for start, _, parts in groups]


def _cut(chunks: Sequence[Chunk], session: Session, grant: Grant, control: Control) -> list[Chunk]:
    """One piece a packet; the first ones are smaller by the control frames."""
    room, limit = room_bytes(session, grant.datagram_bytes), grant.stop - grant.start
    small = room_bytes(session, grant.datagram_bytes, control)
    pieces: list[Chunk] = []
    for offset, data in chunks:
        view, position, size = memoryview(data), 0, len(data)
        while position < size and len(pieces) < limit:
            step = small if len(pieces) < control.copies else room
            pieces.append((offset + position, view[position : position + step]))
            position += step
    return pieces


def _plain(
    session: Session, grant: Grant, pieces: list[Chunk], proofs: list[int], start: int, stop: int
) -> list[list[Buffer]]:
    """The hot loop: packets without flags or frames."""
    request, salt, number = grant.request & 0xFFFF, grant.salt, grant.start
    pack, seal, sealed = HEADER.pack, session.seal_data, session.sealed
    parts: list[list[Buffer]] = []
    for index in range(start, stop):
        offset, piece = pieces[index]
        clear = pack(_RESPONSE, 0, request, salt, number + index, proofs[index], offset)
        parts.append([clear, seal(clear[4:16], piece, clear) if sealed else piece])
    return parts


def _last(
    session: Session, grant: Grant, pieces: list[Chunk], proof: int, control: Control, end: int | None
) -> list[Buffer]:
    """The reply's last packet says whether numbers are left over and whether the output ends."""
    index = len(pieces) - 1
    offset, piece = pieces[index]
    flags = 0
    if end is not None and offset + len(piece) == end:
        flags |= ResponseFlag.END
    if grant.start + len(pieces) < grant.stop:
        flags |= ResponseFlag.SHORT
    marked = control if index < control.copies else NO_CONTROL
    return _packet(session, grant, index, (offset, piece), proof, marked, flags)


def _packet(
    session: Session, grant: Grant, index: int, piece: Chunk, proof: int, control: Control, flags: int = 0
) -> list[Buffer]:
    offset, data = piece
    flags |= control.flags
    clear = HEADER.pack(_RESPONSE, flags, grant.request & 0xFFFF, grant.salt, grant.start + index, proof, offset)
    return session.seal_response(clear + control.frames, data, tagged=bool(flags & FRAME_FLAGS))


def _grouped(destination: Address, size: int, parts: list[list[Buffer]]) -> list[Burst]:
    bursts: list[Burst] = []
    buffers: list[Buffer] = []
    for packet in parts:
        buffers += packet
        if sum(map(len, packet)) != size:
            bursts.append(Burst(destination, size, buffers))
            buffers = []
    if buffers:
        bursts.append(Burst(destination, size, buffers))
    return bursts
