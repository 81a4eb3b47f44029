"""Datagrams to the fleet: requests, pieces for the spool and pings, under one counter of request numbers.

A request number is the AEAD's nonce, so it is never used twice; only this module counts them.
"""

from __future__ import annotations

from collections.abc import Sequence

from trickles.client.flight import Claim
from trickles.client.parts import Parts
from trickles.client.requests import InFlight
from trickles.client.upload import Piece
from trickles.errors import ConnectionFailed
from trickles.ranges import Range
from trickles.wire.awaiting import await_body
from trickles.wire.kinds import Address, Kind, RequestFlag
from trickles.wire.piece import commit_body
from trickles.wire.request import (
    BODY_FIXED_BYTES,
    HEADER_BYTES,
    OFFSET_BYTES,
    RUN_BYTES,
    TAG_BYTES,
    WANT_BYTES,
    RequestBody,
    request_header,
)
from trickles.wire.response import CONTROL_COPIES, TRANSPORT_FRAME_BYTES
from trickles.wire.response import HEADER_BYTES as RESPONSE_HEADER_BYTES

_FIXED_BYTES = HEADER_BYTES + BODY_FIXED_BYTES + TAG_BYTES
_REQUEST, _PIECE, _PING, _AWAIT = Kind.REQUEST, Kind.PIECE, Kind.PING, Kind.AWAIT  # local names are faster
_RESTART, _PROBE = RequestFlag.RESTART, RequestFlag.PROBE
_new = tuple.__new__  # faster than the class, for values made for every request
Datagram = tuple[bytes, Address]


# wants, user, extends, flags, input offset, input, input stop, the only possible replica or None
Content = tuple[tuple[Range, ...], bytes, bool, int, int, bytes, int, Address | None]


def data_room(datagram_bytes: int) -> int:
    """Return the output bytes that fit a response packet of that size."""
    return datagram_bytes - RESPONSE_HEADER_BYTES - TAG_BYTES


class PacketBuilder:
    """Owner of the request number."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._counters = parts.counters
        self._limits = parts.limits
        self._requests = parts.requests
        self._output = parts.output
        self._requested = parts.output.requested
        self.number = 0  # of the last datagram

    def restore(self, number: int) -> None:
        self.number = number

    # room

    def most_runs(self, size: int) -> int:
        """Return how many runs of a proof fit a request of that size, next to any continuation."""
        room = size - _FIXED_BYTES - WANT_BYTES - self._requested.largest_blob
        return max(1, min(room // RUN_BYTES, self._limits.max_runs))

    def inline_room(self, claim: Claim | None = None) -> int:
        """Return the input bytes that fit a request next to its proof and continuation."""
        parts, newest = self._parts, self._requested.newest
        used = _FIXED_BYTES + OFFSET_BYTES + WANT_BYTES
        used += len(newest.blob) if newest else 0
        used += RUN_BYTES * (len(claim.runs) if claim else min(parts.flight.board.holes + 1, self._limits.max_runs))
        size = parts.path.datagram_bytes
        return max((min(claim.datagram_bytes, size) if claim else size) - used, 0)

    @property
    def input_due(self) -> bool:
        """True when there is input to offer, the place of its output is known, and all output before was asked for."""
        parts = self._parts
        if not parts.input.is_due(parts.upload.available):
            return False
        tail = self._requested.tail
        return tail is not None and self._requested.asked >= tail

    # requests

    def request(self, claim: Claim, now: int) -> InFlight:
        """Return the request for that claim, now in flight; input goes before data."""
        parts, packets = self._parts, claim.stop - claim.start
        assert parts.flight.transport is not None
        room, reserve = data_room(claim.datagram_bytes), 0
        if self._expects_continuation(claim, now):  # it takes room on the first packets
            reserve = min(packets, CONTROL_COPIES) * TRANSPORT_FRAME_BYTES
        fleet, requests = parts.fleet, self._requests
        replica = parts.striping.pick(requests, packets, now) if fleet.stripes else fleet.pick(now)
        content = self._input(claim, packets * room - reserve) if self.input_due else self._wants(claim, room, reserve)
        wants, user, extends, flags, offset, data, input_stop, pinned = content
        replica = pinned or replica
        start, stop, lo, hi, runs, claimed_flags, size = claim
        ahead = 0
        if fleet.stripes:
            ahead = packets + sum(each.open_packets for each in requests if each.replica == replica)
        begin = start, stop, lo, hi, replica, now, wants, user, claimed_flags | flags, offset, data, input_stop
        request = InFlight(*begin, size, parts.flight.transport.blob, runs, extends, ahead)
        self._requests.add(request)
        return request

    def _expects_continuation(self, claim: Claim, now: int) -> bool:
        """Return True when the answer will bring a fresh continuation: a new episode, or the old one has aged."""
        flight = self._parts.flight
        if claim.flags & _RESTART or len(flight.board.course.legs) > 1:
            return True
        return now - flight.renewed_at > self._limits.continuation_life // 4

    def _wants(self, claim: Claim, room: int, reserve: int) -> Content:
        requested = self._requested
        spare = claim.datagram_bytes - _FIXED_BYTES - RUN_BYTES * len(claim.runs) - requested.largest_blob
        most, packets = min(spare // WANT_BYTES, self._limits.max_wants), claim.stop - claim.start
        wants, user, _, extends = requested.select(packets, room, self._output.limit, most, reserve=reserve)
        return wants, user, extends, 0, 0, b"", 0, None

    def _input(self, claim: Claim, budget: int) -> Content:
        requested, queue, upload = self._requested, self._parts.input, self._parts.upload
        newest, tail = requested.newest, requested.tail
        assert tail is not None
        stop = min(tail + budget, max(self._output.limit, tail))
        requested.ask_up_to(stop)  # an earlier attempt's range above the tail does not count
        offset, flags, data, replica = queue.consumed, int(RequestFlag.INPUT), b"", None
        input_stop = offset
        if queue.lost:
            flags |= RequestFlag.INPUT_LOST
        elif upload.active:
            flags |= RequestFlag.COMMIT
            replica, input_stop = upload.pinned, upload.stop
            data = commit_body(upload.start, upload.stop, upload.proof)
        else:
            data = queue.peek(offset, offset + self.inline_room(claim))
            input_stop = offset + len(data)
        if queue.ended and input_stop == queue.written and not queue.lost:
            flags |= RequestFlag.INPUT_END
        queue.on_sent()
        wants, user = ((tail, stop),) if stop > tail else (), newest.blob if newest else b""
        return wants, user, False, flags, offset, data, input_stop, replica

    def transmit(self, request: InFlight, now: int) -> Datagram:
        """Return a datagram of that request: the same numbers, under a new request number, for what is still wanted."""
        parts, flags, wants = self._parts, request.flags, request.wants
        if request.datagrams:
            flags |= _PROBE
            parts.counters.hit("repeats")
            if request.answered:
                wants = self._still_wanted(request)
        base, user, offset, data = (
            request.start if flags & _RESTART else 0,
            request.user,
            request.input_offset,
            request.input,
        )
        fields = flags, request.datagram_bytes, request.lo, request.hi, base, request.runs, wants, user, offset, data
        parts.recovery.on_sent(now)
        header = self._header(_REQUEST, request.blob)
        self._requests.sent(request, self.number, now, parts.fleet.flows.current)
        self._output.on_sent(request)
        self._counters["requests"] += 1  # inlined `hit`
        return parts.session.seal_request(header, _new(RequestBody, fields).encode()), request.replica

    def _still_wanted(self, request: InFlight) -> tuple[Range, ...]:
        return tuple(gap for want in request.wants for gap in self._output.arrived.missing(*want))

    # other datagrams

    def piece(self, piece: Piece, now: int) -> Datagram:
        transport = self._parts.flight.transport
        assert transport is not None
        header = self._header(_PIECE, transport.blob)
        self._parts.upload.sent(piece, self.number, now, self._parts.fleet.flows.current)
        self._parts.recovery.on_sent(now)
        return self._parts.session.seal_request(header, piece.body), piece.replica

    def ping(self, size: int, now: int) -> Datagram:
        transport = self._parts.flight.transport
        assert transport is not None
        header = self._header(_PING, transport.blob)
        self._parts.path.on_ping(self.number, size)
        body = bytes(size - HEADER_BYTES - TAG_BYTES)
        return self._parts.session.seal_request(header, body), self._parts.fleet.pick(now)

    def awaits(
        self, replica: Address, numbers: Sequence[int], flags: int = 0, others: Sequence[tuple[bytes, int]] = ()
    ) -> Datagram:
        """Return the question whether that replica is at work on those requests, or a goodbye to it."""
        transport = self._parts.flight.transport
        assert transport is not None
        header = self._header(_AWAIT, transport.blob)
        return self._parts.session.seal_request(header, await_body(numbers, flags, others)), replica

    def _header(self, kind: Kind, blob: bytes) -> bytes:
        self.number += 1
        if self.number > self._limits.max_number:
            raise ConnectionFailed("request numbers used up")
        return request_header(kind, blob, self.number)
