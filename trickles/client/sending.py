"""The sending half: losses declared, claims repeated, restarts, and requests that speak for what has arrived."""

from __future__ import annotations

from trickles.client.claims import Claim
from trickles.client.pathmtu import PathProbe
from trickles.client.settling import close
from trickles.client.state import ConnectionState
from trickles.client.timers import Timers
from trickles.errors import ConnectionFailed
from trickles.ranges import Range
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
SMALL_INPUT_BYTES = 200  # fits any request that proves one run
Outgoing = list[tuple[bytes, Address]]


class Sender:
    """Decides what to send now; every number it claims follows from the proof at hand."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state
        self._number = 0
        self._timers = Timers(state)
        self._probe = PathProbe(state)

    # what the engine calls

    def datagrams(self, now: int) -> Outgoing:
        """All that is due."""
        state, out = self._state, Outgoing()
        if state.claims or state.board.waiting or state.upload.active:
            self._timers.expired(now)
            for claim in self._timers.lapsed(now):
                close(state, claim)
            for claim in [each for each in state.claims if each.retry_at is not None and each.retry_at <= now]:
                self._repeat(claim, now, out)
        held = len(state.input)
        if state.upload.active or held > SMALL_INPUT_BYTES or (held and state.board.holes):
            self._upload(now, out)
        if state.restarting is None and self._due():
            if self._timers.needs_restart(now):
                self._restart(now, out)
            else:
                self._speak(now, out)
                if state.broken and self._timers.needs_restart(now):  # more holes than a proof can show
                    self._restart(now, out)
        for size in self._probe.sizes(now):
            self._ping(size, now, out)
        return out

    def deadline(self) -> int | None:
        """The earliest time at which something is due without anything arriving."""
        return self._timers.deadline(self._due)

    def timeout(self, now: int) -> None:
        """Silence: probe another replica, and in the end restart; ConnectionFailed when it lasted too long."""
        self._timers.expired(now)

    def unreachable(self, replica: Address, now: int) -> None:
        """Outstanding requests go to another replica at once: a dead process is no congestion, and not at work."""
        state = self._state
        if not state.fleet.heeds(replica, now, state.round_trip.probe_timeout(state.limits)):
            return
        for claim in state.claims:
            if claim.replica == replica:
                claim.patience = 0
        state.fleet.silent(replica, now)
        if not state.doubt(replica, now):  # all are gone: probes find out which one returns
            state.round_trip = state.round_trip.hastened()

    # requests

    def _due(self) -> bool:
        state = self._state
        if state.input_due or state.wants.any_below(state.output_limit):
            return True
        return state.upload.active and state.transport is not None and state.transport.embryo

    def _room(self, size: int) -> int:
        return size - RESPONSE_HEADER_BYTES - TAG_BYTES

    def _speak(self, now: int, out: Outgoing) -> None:
        """Requests for everything that arrived, in bursts no larger than smooth."""
        state, board = self._state, self._state.board
        if state.draining:
            return
        while state.spoken < board.cursor and len(state.claims) < state.limits.max_requests_in_flight:
            if not self._timers.may_speak(now):
                return
            room, most = self._room(state.datagram_bytes), state.limits.max_wants
            wanted = state.wants.select(state.burst_packets, room, state.output_limit, most, take=False)
            if not wanted.packets and not state.input_due:
                return
            hi = self._spoken_until(max(wanted.packets, 1))
            start, stop = board.course.edge(state.spoken), board.course.edge(hi)
            if stop <= start:
                return
            if stop > state.limits.max_number:
                raise ConnectionFailed("packet numbers used up")
            runs = board.proof()
            if len(runs) > self._most_runs(state.datagram_bytes):
                state.broken = True
                return
            claim = Claim(start, stop, state.spoken, hi, self._to(stop - start, now), now, runs=runs)
            self._fill(claim)
            state.spoken = hi
            state.next_number = max(state.next_number, stop)
            self._send(claim, now, out)

    def _to(self, packets: int, now: int) -> Address:
        """Where the next request goes, which claims so many."""
        state = self._state
        return state.fleet.pick(now) if state.striping is None else state.striping.pick(state.claims, packets, now)

    def _spoken_until(self, packets: int) -> int:
        """The least `hi` whose grant reaches `packets`, or all that arrived."""
        state, edge = self._state, self._state.board.course.edge
        target = edge(state.spoken) + packets
        low, high = state.spoken + 1, state.board.cursor
        while low < high:
            middle = (low + high) // 2
            if edge(middle) >= target:
                high = middle
            else:
                low = middle + 1
        return low

    def _restart(self, now: int, out: Outgoing) -> None:
        """A new episode above everything that can have been granted."""
        state, board = self._state, self._state.board
        if state.transport is None:
            return
        clean, course = board.clean and not state.timed_out and not state.tail_lost, board.course
        size = self._restart_size(clean=clean or state.transport.embryo)
        runs = board.proof()[: self._most_runs(size)]
        if state.timed_out and state.round_trip.backoff > 1:  # perhaps the proof is at fault: none is always valid
            state.distrusted = True
        if state.distrusted:
            runs, clean = (), False
        proved = runs[-1][1] if runs else board.episode.base
        base = max(course.edge(proved), state.next_number, board.cursor)
        state.next_number = base + max(state.limits.initial_window, state.limits.idle_window)
        if state.next_number > state.limits.max_number - state.limits.max_window:
            raise ConnectionFailed("packet numbers used up")
        flags = RequestFlag.RESTART | (RequestFlag.CLEAN if clean else 0)
        stop = base + self._expected_window(course.window(proved), clean=clean)
        high, low = divmod(state.size_proof if size > state.datagram_bytes else 0, 1 << 32)
        claim = Claim(base, stop, high, low, self._to(stop - base, now), now, flags=flags, runs=runs)
        claim.datagram_bytes = size
        self._fill(claim)
        state.restarting, state.timed_out = claim, False
        self._send(claim, now, out)

    def _restart_size(self, *, clean: bool) -> int:
        """Datagram size of the episode to come: larger when a larger one is proven, the least when nothing passes."""
        state = self._state
        if state.timed_out and state.round_trip.backoff > 2:
            state.note_size_lost(state.limits.min_datagram_bytes)
            return state.proven_bytes
        return state.proven_bytes if clean and state.widens else state.datagram_bytes

    def _expected_window(self, window: int, *, clean: bool) -> int:
        """What the server will start with, as far as this side can tell."""
        state = self._state
        if state.transport is not None and state.transport.embryo:
            return state.limits.initial_window
        if clean:
            return max(1, min(window, state.limits.idle_window))
        return 2 if window > 2 else 1

    def _fill(self, claim: Claim) -> None:
        """What the request wants and brings; input goes before data."""
        state = self._state
        claim.datagram_bytes = claim.datagram_bytes or state.datagram_bytes
        assert state.transport is not None
        claim.blob = state.transport.blob
        packets = claim.stop - claim.start
        room, reserve = self._room(claim.datagram_bytes), 0
        if self._expects_continuation(claim):  # it takes room on the first packets; asking for more leaves scraps
            reserve = min(packets, CONTROL_COPIES) * TRANSPORT_FRAME_BYTES
        if self._state.input_due:
            self._fill_input(claim, packets * room - reserve)
            return
        spare = claim.datagram_bytes - _FIXED_BYTES - RUN_BYTES * len(claim.runs) - state.wants.largest_blob
        most = min(spare // WANT_BYTES, state.limits.max_wants)
        selection = state.wants.select(packets, room, state.output_limit, most, reserve=reserve)
        claim.wants, claim.user, claim.extends = selection.wants, selection.user, selection.extends

    def _expects_continuation(self, claim: Claim) -> bool:
        """True when the answer will bring a fresh continuation: a new episode, or the old one has aged."""
        state = self._state
        if claim.flags & RequestFlag.RESTART or len(state.board.course.legs) > 1:
            return True
        return claim.sent_at - state.renewed_at > state.limits.continuation_life // 4

    def _fill_input(self, claim: Claim, budget: int) -> None:
        state, newest = self._state, self._state.wants.newest
        tail = state.wants.tail
        assert tail is not None
        stop = min(tail + budget, max(state.output_limit, tail))
        claim.wants = ((tail, stop),) if stop > tail else ()
        state.wants.asked = stop  # above the tail nothing is known: what an earlier attempt asked for does not count
        claim.user = newest.blob if newest else b""
        claim.input_offset = state.input.consumed
        claim.flags |= RequestFlag.INPUT
        if state.input.lost:
            claim.flags |= RequestFlag.INPUT_LOST
            claim.input_stop = claim.input_offset
        elif state.upload.active:
            upload = state.upload
            claim.flags |= RequestFlag.COMMIT
            claim.replica = upload.pinned or claim.replica
            claim.input = commit_body(upload.start, upload.stop, upload.proof)
            claim.input_stop = upload.stop
        else:
            claim.input = state.input.peek(claim.input_offset, claim.input_offset + self._inline_room(claim))
            claim.input_stop = claim.input_offset + len(claim.input)
        if state.input.ended and claim.input_stop == state.input.written and not state.input.lost:
            claim.flags |= RequestFlag.INPUT_END
        state.input.in_flight = True

    def _most_runs(self, size: int) -> int:
        """Runs that a request has room for, beside the largest continuation and one want."""
        state = self._state
        room = size - _FIXED_BYTES - WANT_BYTES - state.wants.largest_blob
        return max(1, min(room // RUN_BYTES, state.limits.max_runs))

    def _inline_room(self, claim: Claim | None = None) -> int:
        """Input bytes that fit a request beside its proof and continuation."""
        state, newest = self._state, self._state.wants.newest
        used = _FIXED_BYTES + OFFSET_BYTES + WANT_BYTES
        used += len(newest.blob) if newest else 0
        used += RUN_BYTES * (len(claim.runs) if claim else min(state.board.holes + 1, state.limits.max_runs))
        size = min(claim.datagram_bytes, state.datagram_bytes) if claim else state.datagram_bytes
        return max(size - used, 0)

    def _upload(self, now: int, out: Outgoing) -> None:
        """Pieces for the spool, when the input does not fit a request."""
        state, upload = self._state, self._state.upload
        if state.transport is None or state.input.lost or not upload.engage(self._inline_room()):
            return
        if state.transport.embryo:  # receipts hold for the keys of a proved path only
            return
        for piece in upload.due(state.proven_bytes, state.fleet.pick(now)):
            header = self._header(Kind.PIECE, state.transport.blob)
            upload.sent(piece, self._number, now)
            state.note_asked(now)
            out.append((state.session.seal_request(header, piece.body), piece.replica))

    def _send(self, claim: Claim, now: int, out: Outgoing) -> None:
        self._state.claims.add(claim)
        if self._state.striping is not None:
            claim.ahead = sum(each.open_packets for each in self._state.claims if each.replica == claim.replica)
        self._transmit(claim, claim.flags, now, out)

    def _repeat(self, claim: Claim, now: int, out: Outgoing) -> None:
        """The same claim again, under a new request number, to the replica it now names."""
        claim.retry_at = None
        self._state.counters.hit("repeats")
        self._transmit(claim, claim.flags | RequestFlag.PROBE, now, out)

    def _transmit(self, claim: Claim, flags: int, now: int, out: Outgoing) -> None:
        body = RequestBody(
            flags,
            claim.datagram_bytes,
            claim.lo,
            claim.hi,
            claim.start if flags & RequestFlag.RESTART else 0,
            claim.runs,
            self._still_wanted(claim),
            claim.user,
            claim.input_offset,
            claim.input,
        )
        claim.sent_last = now
        self._state.note_asked(now)
        header = self._header(Kind.REQUEST, claim.blob)
        self._state.claims.name(claim, self._number)
        self._state.note_request(self._number, claim.start, conversion=claim.converts)
        out.append((self._state.session.seal_request(header, body.encode()), claim.replica))
        self._state.counters.hit("requests")

    def _still_wanted(self, claim: Claim) -> tuple[Range, ...]:
        if not claim.answered:
            return claim.wants
        return tuple(gap for want in claim.wants for gap in self._state.output.missing(*want))

    def _ping(self, size: int, now: int, out: Outgoing) -> None:
        transport = self._state.transport
        if transport is not None:
            body = bytes(size - HEADER_BYTES - TAG_BYTES)
            header = self._header(Kind.PING, transport.blob)
            self._state.pings[self._number] = size
            out.append((self._state.session.seal_request(header, body), self._state.fleet.pick(now)))

    def _header(self, kind: Kind, blob: bytes) -> bytes:
        self._number += 1
        if self._number > self._state.limits.max_number:
            raise ConnectionFailed("request numbers used up")
        return request_header(kind, blob, self._number)
