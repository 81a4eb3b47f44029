"""The sending half: the order of due datagrams, and how many requests acknowledge what arrived.

Many small requests keep the packet clock smooth at low rates; at high rates each acknowledges a whole burst, which the
replica sends at once. A request for less waits up to a quarter of a round trip for more to arrive.
"""

from __future__ import annotations

from trickles.client.packets import Datagram, PacketBuilder, data_room
from trickles.client.parts import Parts
from trickles.client.recovery import NEVER
from trickles.limits import MILLISECOND
from trickles.wire.awaiting import LEAVES, MOST_AWAITED

SMALL_INPUT_BYTES = 200  # fits any request that proves one run
MOST_GOODBYES = 8  # of a connection that spread its requests: the others notice its silence
SMOOTH_FOR = MILLISECOND  # at high rates one request acknowledges about this long


class Sender:
    """Chooses what to send now; every claimed number follows from the present proof."""

    def __init__(self, parts: Parts, packets: PacketBuilder) -> None:
        self._parts = parts
        self._packets = packets
        self._requests = parts.requests
        self._flight = parts.flight
        self._board = parts.flight.board
        self._recovery = parts.recovery
        self._ask_at: int | None = None  # when even little is acknowledged

    def datagrams(self, now: int) -> list[Datagram]:
        parts, flight, board, requests, out = self._parts, self._flight, self._board, self._requests, list[Datagram]()
        if parts.at_work.active:
            self._await(now, out)
        if requests or board.waiting or parts.upload.active:
            self._recovery.on_timeout(now)
            for request in parts.losses.detect(now):
                self._recovery.close(request)
            for request in [each for each in requests if each.retry_at is not None and each.retry_at <= now]:
                out.append(self._packets.transmit(request, now))
        held = len(parts.input)
        if parts.upload.active or held > SMALL_INPUT_BYTES or (held and board.holes):
            self._upload(now, out)
        if flight.restarting is None and self._is_due():
            if self._is_stuck(now):
                self._restart(now, out)
            else:
                self._ask(now, out)
                if flight.broken and self._is_stuck(now):  # more holes than a proof can show
                    self._restart(now, out)
        if flight.transport is not None and not flight.transport.embryo:
            transferred = parts.output.arrived.next_offset + parts.upload.counted
            out += [self._packets.ping(size, now) for size in parts.path.sizes(transferred, now)]
        return out

    def next_timeout(self) -> int | None:
        """Return the earliest time at which something is due without an arrival."""
        due = self._recovery.next_timeout()
        if len(self._requests) or self._board.waiting:
            due = min(due, self._parts.losses.next_timeout())
            if self._ask_at is not None and self._may_ask_soon():
                due = min(due, self._ask_at)
        if self._parts.at_work.active:
            due = min(due, self._parts.at_work.next_timeout())
            if (beat := self._parts.heartbeats.next_timeout()) is not None:
                due = min(due, beat)
        return due if due < NEVER else None

    def goodbyes(self) -> list[Datagram]:
        """Return one for each replica that may be at work for this connection."""
        fleet, served = self._parts.fleet, self._recovery.served
        asked = dict.fromkeys([request.replica for request in self._requests] + [fleet.home])
        at = [*asked, *(each for each in served if fleet.spreads and each not in asked)]
        return [self._packets.awaits(replica, (), LEAVES) for replica in at[:MOST_GOODBYES]]

    def _await(self, now: int, out: list[Datagram]) -> None:
        """Ask replicas whether they are still at work."""
        at_work = self._parts.at_work
        for replica, others in at_work.due(now).items():
            asked = at_work.at(replica)[:MOST_AWAITED]
            if asked or others:
                named = [(owner.name, newest) for _, newest, owner in others]
                out.append(self._packets.awaits(replica, [request.newest for request in asked], others=named))
                at_work.asked(self._packets.number, replica, asked, others)

    def _may_ask_soon(self) -> bool:
        flight = self._flight
        waits = flight.restarting is None and not self._drains and flight.acknowledged < self._board.cursor
        return waits and self._is_due()

    def _is_due(self) -> bool:
        output, packets = self._parts.output, self._packets
        if packets.input_due or output.requested.any_below(output.limit):
            return True
        return self._parts.upload.active and self._flight.unvalidated

    def _is_stuck(self, now: int) -> bool:
        return self._flight.is_stuck(len(self._requests), self._recovery.idle, now)

    @property
    def _drains(self) -> bool:
        """True while a restart with larger datagrams waits for requests in flight."""
        return len(self._requests) > 0 and self._flight.drains

    def _restart(self, now: int, out: list[Datagram]) -> None:
        claim = self._flight.restart(self._recovery.round_trip.backoff, self._packets.most_runs)
        request = self._packets.request(claim, now)
        self._flight.on_restart(request)
        out.append(self._packets.transmit(request, now))

    def _ask(self, now: int, out: list[Datagram]) -> None:
        """Send requests for everything that arrived, in bursts no larger than smooth."""
        parts, flight, packets, output = self._parts, self._flight, self._packets, self._parts.output
        path, most, limits = parts.path, parts.limits.max_requests_in_flight, parts.limits
        if self._drains:
            return
        while flight.acknowledged < self._board.cursor and len(self._requests) < most:
            if not self._is_enough(now):
                return
            room = data_room(path.datagram_bytes)
            wanted = output.requested.select(path.burst_packets, room, output.limit, limits.max_wants, take=False)
            if not wanted.packets and not packets.input_due:
                return
            claim = flight.claim(max(wanted.packets, 1), packets.most_runs(path.datagram_bytes))
            if claim is None:
                return
            out.append(packets.transmit(packets.request(claim, now), now))

    def _is_enough(self, now: int) -> bool:
        """Return True when enough has arrived for a request, no more is on its way, or the wait was long enough."""
        unacknowledged = self._board.cursor - self._flight.acknowledged
        if unacknowledged < self._threshold() and any(not request.done for request in self._requests):
            if self._ask_at is None:
                srtt = self._recovery.round_trip.srtt or MILLISECOND
                self._ask_at = now + min(max(srtt >> 2, MILLISECOND), 25 * MILLISECOND)
            if now < self._ask_at:
                return False
        self._ask_at = None
        return True

    def _threshold(self) -> int:
        """Return the numbers per request: two at low rates, a burst at high ones, at most a quarter of the window."""
        window, burst = self._board.course.window(self._board.cursor), self._parts.path.burst_packets
        per_interval = window * SMOOTH_FOR // max(self._recovery.round_trip.srtt or SMOOTH_FOR, 1)
        return max(min(burst, window >> 2, per_interval), min(2, burst))

    def _upload(self, now: int, out: list[Datagram]) -> None:
        """Send pieces for the spool, when the input does not fit a request."""
        parts, upload, packets = self._parts, self._parts.upload, self._packets
        if self._flight.transport is None or parts.input.lost or not upload.engage(packets.inline_room()):
            return
        if self._flight.unvalidated:  # receipts are valid for the keys of a validated path only
            return
        for piece in upload.due(parts.path.proven_bytes, parts.fleet.pick(now)):
            out.append(packets.piece(piece, now))
