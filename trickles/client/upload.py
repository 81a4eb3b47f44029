"""Uploads: input too large for one request goes to the spool in pieces, acknowledged by receipts.

The client is the sender here, so its window is ordinary Reno, counted in pieces (RFC 5681): slow start, one reduction
per round trip for losses (three later receipts), one piece after a timeout.

Receipts are valid for one store. Pieces may have gone to several stores (machines with a spool each), or a store may
have lost some: then a commit is refused, and the upload begins again, all of it to one replica. Receipts of earlier
attempts do not count: they are distinguished by the request numbers of their pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from trickles.client.input import InputQueue
from trickles.client.rtt import RoundTrip
from trickles.limits import Limits
from trickles.wire.kinds import Address
from trickles.wire.piece import PIECE_OVERHEAD, Receipt, piece_body

MOST_ATTEMPTS = 8  # at one part of the input: one address may stand for machines with different stores


@dataclass(slots=True)
class Piece:
    """One piece in flight."""

    offset: int
    stop: int
    body: bytes
    replica: Address
    number: int = 0
    sent_at: int = 0
    flow: int = 0
    sends: int = 0
    lost: bool = False
    moved_from: Address | None = None  # repeated to another replica, which has not answered yet
    sent_to: Address | None = None  # by the last datagram

    def on_sent(self, number: int, now: int, flow: int) -> None:
        self.number, self.sent_at, self.lost, self.sent_to, self.flow = number, now, False, self.replica, flow
        self.sends += 1

    def on_lost(self, replica: Address | None = None) -> None:
        """Send it again, to `replica` or the same one."""
        self.lost, self.replica = True, replica or self.replica

    def probe(self, other: Address) -> None:
        """Send it to `other`, whose answer will prove the silent replica dead."""
        if other != self.replica:
            self.moved_from = self.moved_from or self.replica
        self.on_lost(other)


class UploadState(NamedTuple):
    """An Uploader as a value: the input proved to be in the spool, and the attempt."""

    active: bool
    refused: bool
    start: int
    stop: int
    proof: int
    counted: int
    attempts: int
    pinned: Address | None


class Uploader:
    """Sends pieces and collects receipts; `start`, `stop` and `proof` are the input proved to be in the spool."""

    def __init__(self, queue: InputQueue, limits: Limits) -> None:
        self.start = 0
        self.stop = 0
        self.proof = 0
        self.active = False
        self.refused = False  # this fleet has no spool
        self.window = limits.initial_window
        self.counted = 0
        self.probes = 0  # since a receipt came
        self._doubted_at = -(1 << 62)  # when an unauthenticated sign of death last moved pieces
        self.challenges = 0  # of the address or an expired continuation, since a receipt came
        self.pinned: Address | None = None  # the only replica of a repeated upload
        self._attempts = 0
        self._last_number = 0
        self._first_number = 0  # of this attempt
        self._threshold = 1 << 16
        self._grown = 0
        self._recover_until = 0
        self._most = limits.max_pieces_in_flight
        self._queue = queue
        self._next = 0
        self._pieces: dict[int, Piece] = {}  # by offset
        self._numbers: dict[int, Piece] = {}  # by request number
        self._early: dict[int, Receipt] = {}  # receipts beyond `stop`

    @property
    def in_flight(self) -> int:
        return sum(not piece.lost for piece in self._pieces.values())

    @property
    def available(self) -> int:
        """Offset up to which a request could offer input now."""
        return self.stop if self.active else self._queue.written

    def state(self) -> UploadState:
        held = self.active, self.refused, self.start, self.stop, self.proof, self.counted
        return UploadState(*held, self._attempts, self.pinned)

    def restore(self, state: UploadState, number: int) -> None:
        """Continue an upload above that request number; pieces without a receipt are sent again."""
        self.active, self.refused, self.start, self.stop, self.proof, self.counted, self._attempts, self.pinned = state
        self._next, self._last_number, self._first_number = self.stop, number, number + 1

    def engage(self, inline_room: int) -> bool:
        """Use the spool when the written input does not fit one request, until all is consumed; return True if so."""
        queue = self._queue
        if self.active:
            if not self._pieces and self.stop == queue.written == queue.consumed:
                self.active = False
            elif queue.consumed > self._next:  # by other means than this upload, whose pieces are useless now
                self._begin()
        elif not self.refused and queue.written - queue.consumed > inline_room:
            self.active = True
            self._attempts, self.pinned = 0, None
            self._begin()
        return self.active

    def _begin(self) -> None:
        self.start = self.stop = self._next = self._queue.consumed
        self.proof = 0
        self._first_number = self._last_number + 1
        self._early.clear()
        self._pieces.clear()
        self._numbers.clear()

    def again(self, replica: Address) -> bool:
        """Send all of it again, to that replica; return False when it is not all here, or was sent too often."""
        if self._attempts >= MOST_ATTEMPTS or not self._queue.rewind():
            return False
        self._attempts += 1
        self.pinned = replica
        self._begin()
        return True

    def due(self, datagram_bytes: int, replica: Address) -> list[Piece]:
        """Return the pieces to send now: lost ones first, then new ones, as the window allows."""
        room = self.window - self.in_flight
        due = [piece for piece in self._pieces.values() if piece.lost][: max(room, 0)]
        room -= len(due)
        size, queue, replica = datagram_bytes - PIECE_OVERHEAD, self._queue, self.pinned or replica
        while room > 0 and self._next < queue.written:
            stop = min(self._next + size, queue.written)
            piece = Piece(self._next, stop, piece_body(self._next, queue.peek(self._next, stop)), replica)
            self._pieces[piece.offset] = piece
            self._next = stop
            due.append(piece)
            room -= 1
        return due

    def sent(self, piece: Piece, number: int, now: int, flow: int) -> None:
        self._numbers.pop(piece.number, None)
        piece.on_sent(number, now, flow)
        self._numbers[number] = piece
        self._last_number = number

    def take_refused(self, number: int, source: Address) -> Piece | None:
        """Take out the piece that was sent there under that number: it has no other answer from now on."""
        piece = self._numbers.get(number)
        if piece is None or piece.sent_to != source:
            return None
        del self._numbers[number]
        return piece

    def awaits(self, receipt: Receipt) -> bool:
        """Return True when the receipt settles a piece in flight of this attempt."""
        piece = self._pieces.get(receipt.start)
        return piece is not None and piece.stop == receipt.stop and receipt.request >= self._first_number

    def on_challenge(self) -> int:
        """Note a challenge; return how many came since the last receipt."""
        self.challenges += 1
        return self.challenges

    def receipted(self, receipt: Receipt, now: int) -> tuple[int | None, Address | None, int | None]:
        """Take a receipt that `awaits` accepts; return the round trip, the replica that it proves dead, the flow."""
        piece = self._pieces.pop(receipt.start)
        self._numbers.pop(piece.number, None)
        self.probes = self.challenges = 0
        self.counted += receipt.stop - receipt.start
        self._early[receipt.start] = receipt
        while (following := self._early.pop(self.stop, None)) is not None:
            self.stop = following.stop
            self.proof ^= following.proof
        self._queue.note_held(self.stop)
        self._grow()
        if receipt.request != piece.number:
            return None, None, None
        self._declare_lost(piece.number)
        return now - piece.sent_at, piece.moved_from, piece.flow

    def _grow(self) -> None:
        if self.window >= self._most:
            return
        if self.window < self._threshold:
            self.window += 1
            return
        self._grown += 1
        if self._grown >= self.window:
            self._grown = 0
            self.window += 1

    def _declare_lost(self, number: int) -> None:
        """Mark pieces as lost that were sent three or more before one that arrived."""
        for piece in self._pieces.values():
            if not piece.lost and piece.number + 3 <= number:
                piece.on_lost()
                if piece.number >= self._recover_until:
                    self._recover_until = max(self._numbers, default=number) + 1
                    self._threshold = self.window = max(self.window // 2, 2)

    def give_up(self) -> bool:
        """Send input in requests only, since this fleet has no spool; return False when some of it is not here."""
        self.refused, self.active = True, False
        self._pieces.clear()
        self._numbers.clear()
        return self._queue.rewind()

    def move(self, replica: Address, other: Address) -> None:
        """Send the pieces of a dead replica to another one, at once."""
        self.pinned = None if self.pinned == replica else self.pinned
        for piece in self._pieces.values():
            if piece.replica == replica:
                piece.on_lost(other)

    def leave_flows(self, flow: int) -> None:
        """Send again what went out by any other flow than that one."""
        for piece in self._pieces.values():
            if piece.flow != flow:
                piece.on_lost()

    def doubt(self, replica: Address, other: Address, since: int, now: int) -> list[int]:
        """Move pieces on an unauthenticated sign, unless done after `since`; return their request numbers."""
        numbers = [each.number for each in self._pieces.values() if each.sent_to == replica and not each.lost]
        if not numbers or self._doubted_at > since:
            return []
        self._doubted_at = now
        self.move(replica, other)
        return numbers

    def gather(self, replica: Address) -> None:
        """Send lost and later pieces to that replica only."""
        self.pinned = replica
        for piece in self._pieces.values():
            if piece.lost:
                piece.on_lost(replica)

    def deadline(self, round_trip: RoundTrip, limits: Limits, progress_at: int) -> int | None:
        """Return when silence about the pieces in flight has lasted too long."""
        sent = [piece.sent_at for piece in self._pieces.values() if not piece.lost]
        if not sent:
            return None
        pause = min(round_trip.probe_timeout(limits) << self.probes, round_trip.timeout(limits))
        return max(min(sent), progress_at) + pause

    def probe(self, elsewhere: Callable[[Address], Address]) -> None:
        """Send the oldest piece to another replica, whose answer will prove the silent one dead."""
        self.probes += 1
        piece = min((piece for piece in self._pieces.values() if not piece.lost), key=lambda piece: piece.sent_at)
        piece.probe(elsewhere(piece.replica))

    @property
    def asked(self) -> set[Address]:
        return {piece.replica for piece in self._pieces.values() if not piece.lost}

    def timed_out(self, elsewhere: Callable[[Address], Address]) -> None:
        """Treat all pieces in flight as lost; one goes first, to another replica (RFC 5681 section 3.1)."""
        self._threshold, self.window, self.probes, self.pinned = max(self.window // 2, 2), 1, 0, None
        for piece in self._pieces.values():
            piece.on_lost(elsewhere(piece.replica))
