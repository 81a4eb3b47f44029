"""Response packets: a reply cut into as many full segments as the grant allows, sealed without copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from trickles.listener.decisions import Decision
from trickles.listener.paths import Path
from trickles.service import Buffer, Continuation
from trickles.session import SessionKeys
from trickles.wire.kinds import Address, Burst, Kind, ResponseFlag
from trickles.wire.response import CONTROL_COPIES, FRAME_FLAGS, HEADER, HEADER_BYTES, NONCE, SALT_BYTES, TAG_BYTES

Chunk = tuple[int, Buffer]
_RESPONSE = int(Kind.RESPONSE)
_END, _SHORT, _REPEATED = ResponseFlag.END, ResponseFlag.SHORT, ResponseFlag.REPEATED  # looked up for every reply
_OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES
_LEAST_EMPTY, _MOST_EMPTY = 2, 10  # packets, and not more than are full


@dataclass(slots=True, eq=False)
class Grant:
    """A granted request: with a service's reply it becomes datagrams, now or later.

    It has packet numbers [start, stop) of `datagram_bytes` each. `flags` and `frames` are the control frames of the
    first packets, and whether it is a repeat: one packet without a proof. `nonce` is 12 fresh random bytes for the
    reply's continuations (each has its own key); its beginning is the salt of the reply's packets.
    """

    path: Path
    destination: Address
    request: int
    start: int
    stop: int
    datagram_bytes: int
    flags: int
    frames: bytes
    nonce: bytes
    now: int
    decision: Decision
    known: Continuation | None = None  # the client's own, sealed again if the service returns no other
    more: bool = False  # output goes on: empty packets use up a few numbers left over, for the packet clock
    spooled: bool = False  # the request committed input that lies in the spool
    input_lost: bool = False  # the request reports lost input


def room_bytes(session: SessionKeys, datagram_bytes: int, flags: int = 0, frames: bytes = b"") -> int:
    """Return the bytes of data that fit one response packet with those frames."""
    room = datagram_bytes - HEADER_BYTES - len(frames)
    return room - TAG_BYTES if session.sealed or flags & FRAME_FLAGS else room


def budget_bytes(session: SessionKeys, datagram_bytes: int, count: int, frames: bytes) -> int:
    """Return the bytes of data that fit `count` packets, the first of which carry those frames."""
    if session.sealed:
        room, lost = datagram_bytes - _OVERHEAD_BYTES, len(frames)
    else:
        room, lost = datagram_bytes - HEADER_BYTES, len(frames) + TAG_BYTES if frames else 0
    return count * room - (CONTROL_COPIES if count > CONTROL_COPIES else count) * lost


def packets(grant: Grant, chunks: Sequence[Chunk], flags: int, frames: bytes, end: int | None) -> list[Burst]:
    """Return the reply's datagrams in bursts of equal segments; data above the grant is left for later requests.

    `frames` in clear go with the first packets, so that one lost packet does not lose them. Without data one empty
    packet carries them.
    """
    if len(chunks) > 1:
        return _many(grant, chunks, flags, frames, end)
    offset, data = chunks[0] if chunks else (end or 0, b"")
    path, number, nonce = grant.path, grant.start, grant.nonce
    session, size, after = path.session, len(data), number + 1
    room = grant.datagram_bytes - _OVERHEAD_BYTES - len(frames)
    if size > room or (grant.more and 0 < grant.stop - after <= _LEAST_EMPTY):
        return _many(grant, chunks, flags, frames, end)
    if offset + size == end:
        flags |= _END
    if _ends(grant, after, 1, size, room):
        flags |= _SHORT
    proof = 0 if flags & _REPEATED else path.nonces.run(number, after)
    clear: bytes = HEADER.pack(_RESPONSE, flags, grant.request & 0xFFFF, nonce[:SALT_BYTES], number, proof, offset)
    clear += frames
    if session.sealed:
        buffers: list[Buffer] = [clear, session.seal_data(clear[NONCE], data, clear)]
    else:
        buffers = session.seal_response(clear, data, tagged=bool(frames))
    return [Burst(grant.destination, grant.datagram_bytes, buffers)]


def _many(grant: Grant, chunks: Sequence[Chunk], flags: int, frames: bytes, end: int | None) -> list[Burst]:
    """Return several packets; each step maps over all of them at once in C."""
    offsets, pieces, cuts, size = _cut(coalesced(chunks), grant, flags, frames)
    if not pieces:
        offsets, pieces, cuts = [end or 0], [memoryview(b"")], [1]
    path, first, count = grant.path, grant.start, len(pieces)
    left = grant.stop - first - count
    if left and grant.more and size and left <= min(max(count, _LEAST_EMPTY), _MOST_EMPTY):
        offsets += left * [offsets[-1] + len(pieces[-1])]
        pieces += left * [b""]
        cuts += range(count + 1, count + left + 1)
        count += left
    session, stop = path.session, first + count
    marks, marked = [flags & _REPEATED] * count, range(min(CONTROL_COPIES, count) if frames else 0)
    for index in marked:
        marks[index] = flags
    if offsets[-1] + len(pieces[-1]) == end:
        marks[-1] |= _END
    if _ends(grant, stop, count, size, grant.datagram_bytes - _OVERHEAD_BYTES):
        marks[-1] |= _SHORT
    kinds, requests, salts = repeat(_RESPONSE), repeat(grant.request & 0xFFFF), repeat(grant.nonce[:SALT_BYTES])
    proofs = [0] if flags & _REPEATED else path.nonces.proofs(first, stop)
    heads: list[bytes] = list(map(HEADER.pack, kinds, marks, requests, salts, range(first, stop), proofs, offsets))
    for index in marked:
        heads[index] += frames
    bodies: list[Buffer] = pieces
    if session.sealed:
        bodies = list(map(session.seal_data, [head[4:16] for head in heads], pieces, heads))
    else:
        for index in marked:
            heads[index] += session.tag(heads[index])
    if not cuts:
        return [_burst(grant, heads, bodies)]
    return [_burst(grant, heads[a:b], bodies[a:b]) for a, b in zip([0, *cuts], [*cuts, count], strict=True) if a < b]


def _ends(grant: Grant, sent: int, packets: int, size_bytes: int, room_bytes: int) -> bool:
    """Return True when the reply's last packet ends the episode: numbers from `sent` on are void.

    A late reply to a hello has fewer numbers than were granted; the client must not wait for the others.
    """
    stop, claims = grant.stop, grant.decision.claims
    if claims is None:
        return sent < grant.decision.stop
    return claims.on_sent(stop, sent, packets - 2 * size_bytes // room_bytes, grant.path.state.episode)


def _most_pieces(size_bytes: int, room_bytes: int) -> int:
    """Return how many packets so much data may fill: twice the least, for it may come in scattered ranges."""
    return 2 * -(-size_bytes // room_bytes) + 1


def _burst(grant: Grant, heads: list[bytes], bodies: list[Buffer]) -> Burst:
    buffers: list[Buffer] = [b""] * (2 * len(heads))
    buffers[::2] = heads
    buffers[1::2] = bodies
    return Burst(grant.destination, grant.datagram_bytes, buffers)


def coalesced(chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """Join neighbouring chunks, so that a packet may span them; a single chunk is not copied."""
    if len(chunks) == 1 and len(chunks[0][1]):
        return chunks
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


def _cut(
    chunks: Sequence[Chunk], grant: Grant, flags: int, frames: bytes
) -> tuple[list[int], list[Buffer], list[int], int]:
    """Return offset and data of each packet, the indexes at which bursts end, and the count of bytes.

    The first packets are smaller by the control frames. A burst ends with a packet that is not full, at a chunk's end.
    """
    session, most, limit = grant.path.session, grant.datagram_bytes, grant.stop - grant.start
    small = room = room_bytes(session, most)
    if frames:
        small = room_bytes(session, most, flags, frames)
    if len(chunks) > 1:
        limit = min(limit, _most_pieces(sum([len(data) for _, data in chunks]), small))
    copies, total = min(CONTROL_COPIES, limit) if frames else 0, 0
    offsets: list[int] = []
    pieces: list[Buffer] = []
    cuts: list[int] = []
    for offset, data in chunks:
        if len(pieces) >= limit:
            break
        view, at, size = memoryview(data), 0, len(data)
        while len(pieces) < copies and at < size:
            offsets.append(offset + at)
            pieces.append(view[at : at + small])
            at += small
        stop = min(size, at + (limit - len(pieces)) * room)
        total += stop
        offsets += range(offset + at, offset + stop, room)
        pieces += [view[start : start + room] for start in range(at, stop, room)]
        if at > size or (stop == size and (stop - at) % room):
            cuts.append(len(pieces))
    return offsets, pieces, cuts, total
