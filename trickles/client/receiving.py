"""The receiving half: from datagrams to proof, bytes in order, continuations and settled claims."""

from __future__ import annotations

import struct

from trickles.client.claims import Claim
from trickles.client.greeting import Greeting
from trickles.client.settling import adopt, close, learn, repeated
from trickles.client.state import ConnectionState
from trickles.client.verdicts import PATIENCE, piece_refused, refused
from trickles.errors import BadPacket, ConnectionFailed, Forged
from trickles.service import Buffer, Refusal
from trickles.session import NotAuthentic
from trickles.wire.kinds import Address, Kind, ResponseFlag
from trickles.wire.piece import parse_receipt_untrusted
from trickles.wire.refusal import RefusalHead, parse_refusal_untrusted
from trickles.wire.response import (
    FRAME_FLAGS,
    HEADER_BYTES,
    TAG_BYTES,
    parse_frames_untrusted,
)

_FIELDS = struct.Struct(">BBH8xIQQ")  # the header without its salt
_RESPONSE = int(Kind.RESPONSE)
_GRANTED_UNPROVED = 3


class Receiver:
    """Takes datagrams apart; everything it believes was authenticated by the connection's keys."""

    def __init__(self, state: ConnectionState, greeting: Greeting) -> None:
        self._state = state
        self._greeting = greeting
        self._greeted = b""  # the first continuation

    def burst(self, view: memoryview, size: int, source: Address, now: int) -> None:
        """Datagrams back to back; a bad one does not spoil its neighbours."""
        at, total = 0, len(view)
        if size <= 0 or source not in self._state.fleet.members:
            self._state.counters.hit("dropped.stranger")
            return
        while at < total:
            following = self._plain_run(view, at, size, source, now) if self._state.established else at
            if following == at:
                self._single(bytes(view[at : at + size]), source, now)
                following = at + size
            at = following

    def _plain_run(self, view: memoryview, at: int, size: int, source: Address, now: int) -> int:
        """The hot loop: neighbouring packets without flags; returns where it stopped."""
        state = self._state
        sealed, open_data, unpack = state.session.sealed, state.session.open_data, _FIELDS.unpack_from
        add, conversions = state.output.add, state.conversions
        nonces: list[int] = []
        total, first, answers, fresh = len(view), -1, -1, 0
        data: Buffer
        while at + HEADER_BYTES <= total:
            kind, flags, request, number, nonce, offset = unpack(view, at)
            if flags or kind != _RESPONSE or request in conversions:
                break
            end = at + size
            if sealed:
                try:
                    data = open_data(view[at + 4 : at + 16], view[at + 32 : end], view[at : at + 32])
                except NotAuthentic:
                    state.counters.hit("dropped.forged")
                    at = end
                    continue
            else:
                data = view[at + 32 : end]
            if number != first + len(nonces) or request != answers:
                self._run(answers, first, nonces, fresh, source, now)
                first, answers, nonces, fresh = number, request, [], 0
            nonces.append(nonce)
            fresh += add(offset, data)
            at = end
        self._run(answers, first, nonces, fresh, source, now)
        return min(at, total)

    def _run(self, request: int, start: int, nonces: list[int], fresh: int, source: Address, now: int) -> None:
        if nonces:
            claim = self._state.claims.find(request, start, start + len(nonces))
            self._received(claim, request, start, nonces, fresh, source, now)

    def _received(
        self, claim: Claim | None, request: int, start: int, nonces: list[int], fresh: int, source: Address, now: int
    ) -> None:
        """Packets start, start + 1, ... answered `request`, that is `claim`, and brought `fresh` new bytes."""
        state, stop = self._state, start + len(nonces)
        if stop > state.next_number:  # nobody claimed that far
            state.counters.hit("dropped.beyond")
            return
        late = start < state.board.cursor
        if state.challenges or state.lacking_since is not None:
            self._receive_refused(start, nonces, now)
        else:
            state.board.received(start, nonces, now)
        settled = claim.settle(start, stop) if claim is not None else 0
        if fresh or settled:  # what brings nothing new is no sign that things go on: copies come as often as you like
            self._note_progress(source, len(nonces), now)
            if state.doubted:
                state.note_answered(request, source, now)
        if claim is None:
            if late and fresh:
                state.note_spurious()
            return
        if settled and state.striping is not None:
            state.striping.heard(state.claims, claim, source, now)
        if settled and (not claim.answered or claim.moved_from is not None):
            self._first_answer(claim, request, source, now)
        if claim.done:
            close(state, claim)

    def _receive_refused(self, start: int, nonces: list[int], now: int) -> None:
        """As Scoreboard.received; a packet that is news ends a row of challenges or refusals."""
        state = self._state
        board = state.board
        known = board.arrived
        board.received(start, nonces, now)
        if board.arrived != known:
            state.challenges, state.lacking_since = 0, None

    def _first_answer(self, claim: Claim, request: int, source: Address, now: int) -> None:
        state = self._state
        claim.answered = True
        current = claim.newest & 0xFFFF == request
        sample = now - claim.sent_last if current and not claim.patience else None
        if sample is not None:
            state.round_trip = state.round_trip.sampled(sample)
            if state.striping is not None:
                state.striping.answered(claim, source, sample)
        state.fleet.answered(source, sample)
        if current and claim.moved_from is not None:
            silent, claim.moved_from = claim.moved_from, None
            state.abandon(silent, now)

    def _note_progress(self, source: Address, packets: int, now: int) -> None:
        state = self._state
        if (oldest := state.claims.oldest) is not None:
            waited = now - max(state.progress_at, oldest.sent_at)
            state.stall_us = max(state.stall_us, waited)
        state.progress_at = now
        state.probes = 0
        state.served[source] = state.served.get(source, 0) + packets

    def _single(self, datagram: bytes, source: Address, now: int) -> None:
        try:
            kind = datagram[0]
            if kind == Kind.RESPONSE:
                self._response(datagram, source, now)
            elif kind == Kind.REFUSAL:
                self._refusal(datagram, source, now)
            elif kind == Kind.RECEIPT and self._state.established:
                self._receipt(datagram, source, now)
            elif kind == Kind.PONG and self._state.established:
                self._pong(datagram)
            elif kind == Kind.CERTIFICATE and not self._state.established:
                self._greeting.certified(datagram[1:], now)
            elif kind == Kind.COOKIE and not self._state.established:
                self._greeting.cookie(datagram[1:], now)
            else:
                self._state.counters.hit("dropped.unexpected")
        except Forged:
            self._state.counters.hit("dropped.forged")
        except BadPacket:
            self._state.counters.hit("dropped.malformed")

    def _response(self, datagram: bytes, source: Address, now: int) -> None:
        """A packet with flags: frames, marks, data."""
        state = self._state
        try:
            _, flags, request, number, nonce, offset = _FIELDS.unpack_from(datagram)
        except struct.error:
            raise BadPacket("truncated response") from None
        frames = parse_frames_untrusted(datagram, flags)
        if not state.established and (
            frames.transport is None or frames.transport.connection != state.session.connection
        ):
            raise Forged("not an answer to this hello")
        clear, tagged = datagram[: frames.data_at], bool(flags & FRAME_FLAGS)
        data = state.session.open_response_untrusted(clear, memoryview(datagram)[frames.data_at :], tagged=tagged)
        if not state.established:
            self._established(source, now)
        if frames.transport is not None:
            if frames.transport.embryo and not self._stands(frames.transport.blob):
                state.counters.hit("dropped.unexpected")
                return
            adopt(state, frames.transport, now, number, small=bool(flags & ResponseFlag.SMALL))
        claim, salt = state.claims.find(request, number, number + 1), datagram[4:12]
        found = state.conversions.get(request)
        conversion = found if found is not None and number >= found.start else None  # below it is a copy, of long ago
        if frames.user is not None:
            learn(state, frames.user, salt, conversion=conversion, under=claim.user if claim is not None else b"")
        accepted = salt if conversion is None else conversion.salt
        fresh = state.output.add(offset, data) if accepted == salt else 0
        stands = accepted == salt or (accepted is None and offset + len(data) == (state.wants.tail or 0))
        if flags & ResponseFlag.END and stands:
            state.output_end = offset + len(data)
        if flags & ResponseFlag.REPEATED:
            self._repeated(claim, request, fresh, source, now)
            return
        if flags & ResponseFlag.SHORT:
            self._short(claim, number)
        self._received(claim, request, number, [nonce], fresh, source, now)

    def _short(self, claim: Claim | None, number: int) -> None:
        """Nothing of the claim comes above that number, and only a restart goes on, unless the episode is over."""
        if claim is not None:
            claim.settle(number + 1, claim.stop)
        if number >= self._state.board.episode.base:
            self._state.broken = True

    def _repeated(self, claim: Claim | None, request: int, fresh: int, source: Address, now: int) -> None:
        """The answer to a repeat of what the same replica has answered before."""
        if claim is None:
            return
        if fresh:
            self._note_progress(source, 1, now)
        if not claim.answered or claim.moved_from is not None:
            self._first_answer(claim, request, source, now)
        repeated(self._state, claim)

    def _stands(self, blob: bytes) -> bool:
        """False for an answer to a hello to another epoch than the first answer's: its numbers have other nonces."""
        self._greeted = self._greeted or blob
        return self._greeting.made == 1 or blob == self._greeted

    def _established(self, source: Address, now: int) -> None:
        """The first answer to the hello: its claim is the three packets that an unproved address may get."""
        state, greeting = self._state, self._greeting
        if greeting.sample is not None:
            state.round_trip = state.round_trip.sampled(greeting.sample)
        claim = Claim(0, _GRANTED_UNPROVED, 0, 0, source, now)
        claim.wants = ((0, 3 * state.limits.min_datagram_bytes),) if greeting.wanted else ()
        claim.sent_last = greeting.sent_at if greeting.sent_at is not None else now
        claim.patience = 0 if greeting.sent_at is not None else 1  # sent more than once: no sample (Karn)
        claim.flags = greeting.early_flags
        claim.input = greeting.early_input
        claim.input_stop = len(greeting.early_input)
        state.claims.add(claim)
        state.claims.name(claim, 0)
        claim.requests[0].refused = True  # what comes as a refusal from now on is a copy of what the greeting heard
        state.note_request(0, 0, conversion=claim.carries_input)
        state.wants.asked = claim.wants[0][1] if claim.wants else 0

    def _refusal(self, datagram: bytes, source: Address, now: int) -> None:
        state, head = self._state, parse_refusal_untrusted(datagram)
        if head.tag:
            state.session.check_untrusted(head.clear, head.tag)
        if not state.established:
            self._greeting_refused(head, source, now)
        elif head.tag and (piece := state.upload.take_refused(head.request, source)) is not None:
            piece_refused(state, piece, head, now)
        else:
            refused(state, head, source, now)

    def _greeting_refused(self, head: RefusalHead, source: Address, now: int) -> None:
        """The service would not answer the hello's early input."""
        if head.request or not self._greeting.refused_by(source, head.tag, working=head.code is Refusal.WORKING):
            self._state.counters.hit("dropped.repeated")
            return
        self._state.counters.hit(f"refused.{head.code.name.lower()}")
        if head.code is Refusal.GONE:
            raise ConnectionFailed("gone")
        if head.code is Refusal.NOT_HERE:
            self._greeting.not_here(now)
        elif head.code is Refusal.WORKING:
            self._greeting.working(now, PATIENCE)

    def _receipt(self, datagram: bytes, source: Address, now: int) -> None:
        state = self._state
        receipt, clear, tag = parse_receipt_untrusted(datagram)
        state.session.check_untrusted(clear, tag)
        if not state.upload.awaits(receipt):
            state.counters.hit("dropped.repeated")
            return
        state.progress_at = now
        state.note_answered(receipt.request, source, now)
        sample = state.upload.receipted(receipt, now)
        if sample is not None:
            state.round_trip = state.round_trip.sampled(sample)
            state.fleet.answered(source, sample)
        if (silent := state.upload.silent) is not None:
            state.upload.silent = None
            state.abandon(silent, now)

    def _pong(self, datagram: bytes) -> None:
        state = self._state
        if len(datagram) < HEADER_BYTES + TAG_BYTES:
            raise BadPacket("truncated pong")
        state.session.open_response_untrusted(datagram[:HEADER_BYTES], datagram[HEADER_BYTES:], tagged=True)
        _, _, _, number, proof, _ = _FIELDS.unpack_from(datagram)
        if state.pings.pop(number, 0) != len(datagram):  # of one ping one pong counts
            state.counters.hit("dropped.repeated")
            return
        state.note_size(len(datagram), proof)
