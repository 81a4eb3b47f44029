"""Act on authentic refusals, each once.

A replayed datagram is authentic too, so none may count twice: a request number has one refusal, from the replica that
it went to, and is then marked `refused`. Only WORKING repeats; it counts when its duration is longer than the newest
one. A hint (EPOCH without a tag) can be forged: it moves one request and has no other effect.
"""

from __future__ import annotations

from trickles.client.liveness import RENEW_EVERY
from trickles.client.parts import Parts
from trickles.client.requests import InFlight, SentDatagram
from trickles.client.upload import Piece
from trickles.errors import ConnectionFailed
from trickles.limits import MILLISECOND
from trickles.service import Refusal
from trickles.wire.kinds import Address
from trickles.wire.refusal import RefusalHead
from trickles.wire.response import TransportFrame

LEAST_PATIENCE = 250 * MILLISECOND  # with a replica that is at work although another one was asked
CHALLENGES = 8  # in a row, without a packet or receipt: then use one replica only; after as many more, fail


class Refusals:
    """Handler of refusals of requests and pieces."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._limits = parts.limits
        self._fleet = parts.fleet
        self._flight = parts.flight
        self._recovery = parts.recovery
        self._hit = parts.counters.hit

    def on_refusal(self, head: RefusalHead, source: Address, now: int) -> bool:
        """Act on a refusal of a request or piece; ConnectionFailed when the transfer cannot go on.

        Return whether something may be due earlier than before.
        """
        if head.tag and (piece := self._parts.upload.take_refused(head.request, source)) is not None:
            self._piece_refused(piece, head, now)
            return True
        found = self._parts.requests.exactly(head.request, source)
        if found is None or found[1].refused:
            self._hit("dropped.repeated")
            return False
        request, sent = found
        if not head.tag:
            self._hinted(request, sent, now)
            return True
        self._recovery.not_dead(head.request, source, now)
        if head.code is Refusal.WORKING:
            return self._at_work(request, sent, head, now)
        sent.on_refused()
        self._recovery.on_authentic(now)
        self._hit(f"refused.{head.code.name.lower()}")
        self._refused(request, sent, head, now)
        return True

    def _refused(self, request: InFlight, sent: SentDatagram, head: RefusalHead, now: int) -> None:
        code, flight = head.code, self._flight
        if code is Refusal.GONE:
            raise ConnectionFailed(self._parts.input.lost or "gone")
        if code in (Refusal.EXPIRED, Refusal.ADDRESS) and head.transport is not None:
            counts = request is flight.restarting or not flight.unvalidated
            in_a_row = flight.on_challenge() if counts else flight.challenges
            request.on_lost()
            self._recovery.close(request)
            self._challenged(code, head.transport, in_a_row, now)
        elif code is Refusal.BUSY:
            at = now + (self._limits.busy_delay << min(request.refusals, 3))
            request.retry(at, silence_from=at)
            request.on_refused(now)
        elif code is Refusal.ENDING:
            request.on_refused(now)
            self._leave(request, sent, request.refusals, now, excused=True)
        elif code in (Refusal.NOT_HERE, Refusal.EPOCH):
            self._lacking(request, sent, code, now)
        elif code is Refusal.INPUT_LOST:
            self._input_lost(request, sent, now)

    def _at_work(self, request: InFlight, sent: SentDatagram, head: RefusalHead, now: int) -> bool:
        """Wait without probes while the replica is at work: the service needs time."""
        if not sent.on_notice(head.worked_us):
            self._hit("dropped.repeated")
            return False
        self._recovery.on_authentic(now)
        self._hit("refused.working")
        if request.datagrams[request.newest] is sent and request.retry_at is None:
            beat = self._parts.heartbeats.on_notice(request, head.heartbeat, now)
            return self._parts.at_work.on_notice(request, head.incarnation, now) or (
                beat is not None and beat < now + RENEW_EVERY
            )
        request.be_patient(max(request.patience, now + LEAST_PATIENCE))
        return True

    def _piece_refused(self, piece: Piece, head: RefusalHead, now: int) -> None:
        """Act on a refused piece: a fresh continuation, no spool in this fleet, or no room in it."""
        upload = self._parts.upload
        self._recovery.on_authentic(now)
        self._hit(f"refused.{head.code.name.lower()}")
        if head.code is Refusal.NO_SPOOL:
            if not upload.give_up():
                self._recovery.lose_input("no spool")
        elif head.code is Refusal.FULL:
            self._recovery.lose_input("spool full")
        elif head.transport is not None:
            piece.on_lost()
            in_a_row = upload.challenges if self._flight.unvalidated else upload.on_challenge()
            self._challenged(head.code, head.transport, in_a_row, now)

    def _challenged(self, code: Refusal, frame: TransportFrame, in_a_row: int, now: int) -> None:
        """Answer a challenge by using the fresh continuation; claims under the old one are void.

        Each continuation is bound to the address that the replica saw. Where every replica sees another one (a balancer
        with many addresses, a pool of translators) none is valid at the next: use one replica only, then give up. While
        a challenge is being answered others do not count, for one change of address hits many requests under way.
        """
        if code is Refusal.ADDRESS:
            self._parts.path.on_other_path()
        self._flight.adopt(frame, now)
        if in_a_row > 2 * CHALLENGES:
            expired = code is Refusal.EXPIRED
            raise ConnectionFailed("continuations keep expiring" if expired else "address keeps changing")
        if in_a_row > CHALLENGES:
            self._recovery.cling()

    def _lacking(self, request: InFlight, sent: SentDatagram, code: Refusal, now: int) -> None:
        """Ask another replica, since this one lacks the content or the epoch; the first again when all were asked.

        ConnectionFailed when all were asked often enough, and had time to get a new epoch. While a replica that could
        continue is silent, restarts replace requests: then time counts.
        """
        request.on_refused(now, elsewhere=True)
        since = now if request.refused_at is None else request.refused_at
        rotated = code is not Refusal.EPOCH or now - since >= self._limits.rotation_patience
        too_long = self._flight.on_lacking(now) > self._limits.give_up_after
        if too_long or (rotated and self._fleet.exhausted(request.refusals)):
            raise ConnectionFailed("no replica can continue")
        self._leave(request, sent, request.refusals, now, excused=True)

    def _hinted(self, request: InFlight, sent: SentDatagram, now: int) -> None:
        """Act on a hint that this replica lacks the epoch: it delays neither probes nor giving up."""
        interval = self._recovery.round_trip.probe_timeout(self._limits)
        if request.datagrams[request.newest] is not sent or not self._fleet.heeds(sent.replica, now, interval):
            return
        request.on_hint()
        self._hit("refused.epoch")
        self._fleet.silent(sent.replica, now)
        if not self._recovery.doubt(sent.replica, now):
            self._leave(request, sent, request.hints, now)

    def _leave(self, request: InFlight, sent: SentDatagram, refusals: int, now: int, *, excused: bool = False) -> None:
        """Ask another replica than the one that refused, unless that was done; `excused`: it was not silent."""
        self._fleet.silent(sent.replica, now)
        if request.datagrams[request.newest] is sent:
            at = now + self._fleet.pause(refusals, self._limits.busy_delay)
            request.retry(at, self._fleet.other(sent.replica, now), silence_from=at if excused else None)

    def _input_lost(self, request: InFlight, sent: SentDatagram, now: int) -> None:
        """Act on a spool without the committed input: ask the others, then upload again, then give up."""
        request.on_refused(now)
        fleet = self._fleet
        if request.refusals >= len(fleet.replicas):
            again = self._parts.upload.again(sent.replica)
            if again or fleet.exhausted(request.refusals):
                self._hit("uploads_repeated" if again else "uploads_lost")
                if not again:
                    self._recovery.lose_input("input lost: upload it again")
                request.on_lost()
                self._recovery.close(request)
                return
        if request.datagrams[request.newest] is sent:
            at = now + fleet.pause(request.refusals, self._limits.busy_delay)
            request.retry(at, fleet.other(sent.replica, now), silence_from=at)
