"""The receiving half: proofs, bytes in order, continuations and answered requests from datagrams."""

from __future__ import annotations

import struct

from trickles.client.handshake import Handshake
from trickles.client.parts import Parts
from trickles.client.refusals import Refusals
from trickles.client.requests import InFlight
from trickles.errors import BadPacket, ConnectionFailed, Forged
from trickles.service import Buffer, Refusal
from trickles.session import NotAuthentic
from trickles.wire.awaiting import parse_awaited_untrusted
from trickles.wire.kinds import Address, Kind, ResponseFlag
from trickles.wire.piece import parse_receipt_untrusted
from trickles.wire.refusal import RefusalHead, parse_refusal_untrusted
from trickles.wire.response import (
    FRAME_FLAGS,
    HEADER_BYTES,
    TAG_BYTES,
    TransportFrame,
    UserFrame,
    parse_frames_untrusted,
)

_FIELDS = struct.Struct(">BBH8xIQQ")  # the header without its salt
_RESPONSE = int(Kind.RESPONSE)
_GRANTED_UNPROVED = 3


class Receiver:
    """Parses datagrams; everything it accepts is authenticated by the connection's keys."""

    def __init__(self, parts: Parts, handshake: Handshake) -> None:
        self._parts = parts
        self._handshake = handshake
        self._session = parts.session
        self._requests = parts.requests
        self._flight = parts.flight
        self._output = parts.output
        self._recovery = parts.recovery
        self._fleet = parts.fleet
        self._striping = parts.striping
        self._hit = parts.counters.hit
        self._refusals = Refusals(parts)
        self._first = b""  # the first continuation

    def burst(self, view: memoryview, size: int, source: Address, now: int) -> bool:
        """Take datagrams back to back; a bad one does not affect its neighbours.

        Return whether something may be due earlier than before.
        """
        at, total, due = 0, len(view), False
        if size <= 0 or source not in self._fleet.members:
            self._hit("dropped.stranger")
            return False
        while at < total:
            plain = at + 1 < total and not view[at + 1] and self._flight.transport is not None  # no flags
            following = self._plain_run(view, at, size, source, now) if plain else at
            if following > at:
                due = True
            else:
                due = self._single(bytes(view[at : at + size]), source, now) or due
                following = at + size
            at = following
        return due

    def _plain_run(self, view: memoryview, at: int, size: int, source: Address, now: int) -> int:
        """Take neighbouring packets without flags, in a hot loop; return where it stopped."""
        sealed, open_data, unpack = self._session.sealed, self._session.open_data, _FIELDS.unpack_from
        add, conversions, floor = self._output.arrived.add, self._output.conversions, self._flight.floor
        nonces: list[int] = []
        total, first, answers, fresh = len(view), -1, -1, 0
        data: Buffer
        while at + HEADER_BYTES <= total:
            kind, flags, request, number, nonce, offset = unpack(view, at)
            if flags or kind != _RESPONSE or request in conversions or number < floor:
                break
            end = at + size
            if sealed:
                try:
                    data = open_data(view[at + 4 : at + 16], view[at + 32 : end], view[at : at + 32])
                except NotAuthentic:
                    self._hit("dropped.forged")
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

    def _run(self, number: int, start: int, nonces: list[int], fresh: int, source: Address, now: int) -> None:
        if nonces:
            request = self._requests.find(number, start, start + len(nonces))
            self._received(request, number, start, nonces, fresh, source, now)

    def _received(
        self,
        request: InFlight | None,
        number: int,
        start: int,
        nonces: list[int],
        fresh: int,
        source: Address,
        now: int,
    ) -> None:
        """Note packets start, start + 1, ..., which answer `number` (`request`) and brought `fresh` new bytes."""
        flight, recovery, stop = self._flight, self._recovery, start + len(nonces)
        if stop > flight.next_number:  # never claimed
            self._hit("dropped.beyond")
            return
        late = start < flight.board.cursor
        if flight.board.fills(start):
            self._parts.losses.on_filled(request, now)
        flight.received(start, nonces, now)
        settled = request.settle(start, stop) if request is not None else 0
        if fresh or settled:  # copies are no progress
            recovery.on_progress(source, len(nonces), now)
            if recovery.doubted:
                recovery.not_dead(number, source, now)
            if late and not settled:
                self._parts.losses.on_spurious(request)
        if settled and request is not None:
            if self._fleet.stripes:
                self._striping.heard(self._requests, request, source, now)
            if not request.answered or request.moved_from is not None or self._fleet.flows.in_doubt:
                recovery.on_answered(request, number, source, now)
        if request is not None and request.done:
            recovery.close(request)

    def _single(self, datagram: bytes, source: Address, now: int) -> bool:
        kind = datagram[0]
        try:
            if kind == _RESPONSE:
                self._response(datagram, source, now)
            elif kind == Kind.REFUSAL:
                return self._refusal(datagram, source, now)
            elif self._flight.transport is None:
                self._before(kind, datagram, now)
            elif kind == Kind.RECEIPT:
                self._receipt(datagram, source, now)
            elif kind == Kind.PONG:
                self._pong(datagram)
            elif kind == Kind.AWAITED:
                self._awaited(datagram, source, now)
            else:
                self._hit("dropped.unexpected")
        except Forged:
            self._hit("dropped.forged")
        except BadPacket:
            self._hit("dropped.malformed")
        return True

    def _before(self, kind: int, datagram: bytes, now: int) -> None:
        """Take answers to the handshake before the first continuation."""
        if kind == Kind.CERTIFICATE:
            self._handshake.certified(datagram[1:], now)
        elif kind == Kind.COOKIE:
            self._handshake.cookie(datagram[1:], now)
        else:
            self._hit("dropped.unexpected")

    def _response(self, datagram: bytes, source: Address, now: int) -> None:
        flight = self._flight
        try:
            _, flags, answers, number, nonce, offset = _FIELDS.unpack_from(datagram)
        except struct.error:
            raise BadPacket("truncated response") from None
        frames = parse_frames_untrusted(datagram, flags)
        transport, first = frames.transport, flight.transport is None
        if number < flight.floor:
            self._hit("dropped.former")
            return
        if first and (transport is None or transport.connection != self._session.connection):
            raise Forged("not an answer to this hello")
        clear, tagged = datagram[: frames.data_at], bool(flags & FRAME_FLAGS)
        data = self._session.open_response_untrusted(clear, memoryview(datagram)[frames.data_at :], tagged=tagged)
        if transport is not None and not self._adopt(transport, now, number, small=bool(flags & ResponseFlag.SMALL)):
            self._hit("dropped.unexpected")
            return
        if first:
            self._established(source, now)
        request, salt = self._requests.find(answers, number, number + 1), datagram[4:12]
        fresh = self._output_arrived(frames.user, request, answers, number, salt, offset, data, flags)
        if flags & ResponseFlag.REPEATED:
            self._repeated(request, answers, fresh, source, now)
            return
        if flags & ResponseFlag.SHORT:
            if request is not None:
                request.settle(number + 1, request.stop)
            flight.on_short(number)
        self._received(request, answers, number, [nonce], fresh, source, now)

    def _output_arrived(
        self,
        frame: UserFrame | None,
        request: InFlight | None,
        answers: int,
        number: int,
        salt: bytes,
        offset: int,
        data: Buffer,
        flags: int,
    ) -> int:
        """Take the continuation and the data of a packet; return the count of new bytes."""
        output, queue = self._output, self._parts.input
        conversion = output.conversion(answers, number)
        if frame is not None:
            under = request.user if request is not None else b""
            learned = output.learn(frame, salt, queue.written, conversion, under)
            if learned:
                queue.note_consumed(frame.consumed)
            elif learned is None:
                self._hit("dropped.malformed")
        return output.receive(conversion, salt, offset, data, ends=bool(flags & ResponseFlag.END))

    def _repeated(self, request: InFlight | None, number: int, fresh: int, source: Address, now: int) -> None:
        """Take the answer to a repeat of a request that the same replica answered before."""
        if request is None:
            return
        if fresh:
            self._recovery.on_progress(source, 1, now)
        if not request.answered or request.moved_from is not None:
            self._recovery.on_answered(request, number, source, now)
        self._recovery.close_repeated(request)

    def _adopt(self, frame: TransportFrame, now: int, number: int, *, small: bool) -> bool:
        """Take a continuation if it is new; return False when there is none yet, or it answers another hello.

        A hello to another epoch than the first answer's gets numbers with other nonces.
        """
        if frame.embryo:
            self._first = self._first or frame.blob
            if self._handshake.made > 1 and frame.blob != self._first:
                return False
        self._flight.adopt(frame, now, number, small=small)
        return self._flight.transport is not None

    def _established(self, source: Address, now: int, *, at_work: bool = False) -> None:
        """Take the first answer to the hello: its request is for the three packets of an unvalidated address."""
        handshake = self._handshake
        if handshake.sample is not None:
            self._recovery.on_sample(handshake.sample)
        once = handshake.sent_at
        request = InFlight(
            0,
            _GRANTED_UNPROVED - at_work,  # a notice replaces a packet
            0,
            0,
            source,
            now,
            wants=((0, 3 * self._parts.limits.min_datagram_bytes),) if handshake.wanted else (),
            flags=handshake.early_flags,
            input=handshake.early_input,
            input_stop=len(handshake.early_input),
            patience=0 if once is not None else 1,  # sent more than once: no sample (Karn)
        )
        self._requests.add(request)
        self._requests.sent(request, 0, once if once is not None else now, self._fleet.flows.current)
        if not at_work:
            request.datagrams[0].on_refused()  # refusals from now on are copies of ones that the handshake received
        self._output.on_sent(request)
        self._output.requested.ask_up_to(request.wants[0][1] if request.wants else 0)

    def _refusal(self, datagram: bytes, source: Address, now: int) -> bool:
        head = parse_refusal_untrusted(datagram)
        if head.tag:
            self._session.check_untrusted(head.clear, head.tag)
        if self._flight.transport is None:
            self._hello_refused(head, source, now)
            return True
        return self._refusals.on_refusal(head, source, now)

    def _hello_refused(self, head: RefusalHead, source: Address, now: int) -> None:
        handshake, frame = self._handshake, head.transport
        if head.code is Refusal.WORKING and not head.request and frame is not None:
            if frame.connection == self._session.connection and self._adopt(frame, now, 0, small=False):
                self._established(source, now, at_work=True)
                self._refusals.on_refusal(head, source, now)
            return
        if head.request or not handshake.refused_by(source, head.tag):
            self._hit("dropped.repeated")
            return
        self._hit(f"refused.{head.code.name.lower()}")
        if head.code is Refusal.GONE:
            raise ConnectionFailed("gone")
        if head.code is Refusal.NOT_HERE:
            handshake.not_here(now)

    def _awaited(self, datagram: bytes, source: Address, now: int) -> None:
        awaited, clear, tag = parse_awaited_untrusted(datagram)
        self._session.check_untrusted(clear, tag)
        if not self._parts.at_work.on_awaited(awaited, source, now):
            self._hit("dropped.repeated")

    def _receipt(self, datagram: bytes, source: Address, now: int) -> None:
        receipt, clear, tag = parse_receipt_untrusted(datagram)
        self._session.check_untrusted(clear, tag)
        if not self._parts.upload.awaits(receipt):
            self._hit("dropped.repeated")
            return
        self._recovery.on_authentic(now)
        self._recovery.not_dead(receipt.request, source, now)
        sample, silent, flow = self._parts.upload.receipted(receipt, now)
        if sample is not None:
            self._recovery.on_sample(sample)
            self._fleet.answered(source, sample)
        self._recovery.on_flow_answered(flow, now)
        if silent is not None:
            self._recovery.abandon(silent, now)

    def _pong(self, datagram: bytes) -> None:
        if len(datagram) < HEADER_BYTES + TAG_BYTES:
            raise BadPacket("truncated pong")
        self._session.open_response_untrusted(datagram[:HEADER_BYTES], datagram[HEADER_BYTES:], tagged=True)
        _, _, _, number, proof, _ = _FIELDS.unpack_from(datagram)
        if not self._parts.path.on_pong(number, len(datagram), proof):
            self._hit("dropped.repeated")
