"""Act on authentic refusals, each once.

The replay of an old datagram is authentic too, so none may count twice: a request number has one refusal, from the
replica that it went to, and is named `refused` by it. WORKING alone is said again; it counts when it says more than the
newest one. A hint (EPOCH without a tag) anybody can forge: it moves one request and counts for nothing else.
"""

from __future__ import annotations

from trickles.client.claims import Claim, SentRequest
from trickles.client.settling import adopt, close
from trickles.client.state import ConnectionState
from trickles.client.uploading import Piece
from trickles.errors import ConnectionFailed
from trickles.limits import MILLISECOND, SECOND
from trickles.service import Refusal
from trickles.wire.kinds import Address
from trickles.wire.refusal import RefusalHead
from trickles.wire.response import TransportFrame

PATIENCE = 3 * SECOND  # a server at work says so every second, and at first each time it has lasted twice as long
LEAST_PATIENCE = 250 * MILLISECOND  # a busy replica may be late to say so
NOTICES_LOST = 8  # times what it has lasted so far: two notices may be lost
CHALLENGES = 8  # in a row, with no packet or receipt between: then cling to one replica, after as many more fail


def refused(state: ConnectionState, head: RefusalHead, source: Address, now: int) -> None:
    """Act on a refusal of a claim's request; ConnectionFailed when the transfer cannot go on."""
    found = state.claims.sent(head.request, source)
    if found is None or found[1].refused:
        state.counters.hit("dropped.repeated")
        return
    claim, sent = found
    if not head.tag:
        _hinted(state, claim, sent, now)
        return
    state.note_answered(head.request, source, now)
    if head.code is Refusal.WORKING:
        _at_work(state, claim, sent, head.worked_us, now)
    else:
        sent.refused = True
        state.progress_at = now
        state.counters.hit(f"refused.{head.code.name.lower()}")
        _answered_no(state, claim, sent, head, now)


def _answered_no(state: ConnectionState, claim: Claim, sent: SentRequest, head: RefusalHead, now: int) -> None:
    code = head.code
    if code is Refusal.GONE:
        raise ConnectionFailed(state.input.lost or "gone")
    if code in (Refusal.EXPIRED, Refusal.ADDRESS) and head.transport is not None:
        state.challenges += claim is state.restarting or not _unproved(state)
        claim.lost = True
        close(state, claim)
        _challenged(state, code, head.transport, state.challenges, now)
    elif code is Refusal.BUSY:
        claim.retry_at = claim.sent_at = now + (state.limits.busy_delay << min(claim.refusals, 3))
        claim.refusals += 1
    elif code in (Refusal.NOT_HERE, Refusal.EPOCH):
        _elsewhere(state, claim, sent, code, now)
    elif code is Refusal.INPUT_LOST:
        _input_lost(state, claim, sent, now)


def _at_work(state: ConnectionState, claim: Claim, sent: SentRequest, worked_us: int, now: int) -> None:
    """The service needs time: no probe until notices have failed to come."""
    if worked_us <= sent.worked_us:
        state.counters.hit("dropped.repeated")
        return
    sent.worked_us = worked_us
    state.progress_at = now
    state.counters.hit("refused.working")
    claim.patience = now + max(LEAST_PATIENCE, min(NOTICES_LOST * (now - claim.sent_at), PATIENCE))


def piece_refused(state: ConnectionState, piece: Piece, head: RefusalHead, now: int) -> None:
    """A piece was not taken: a fresh continuation, no spool in this fleet, or no room in it."""
    state.progress_at = now
    state.counters.hit(f"refused.{head.code.name.lower()}")
    if head.code is Refusal.NO_SPOOL:
        if not state.upload.give_up():
            state.lose_input("no spool")
    elif head.code is Refusal.FULL:
        state.lose_input("spool full")
    elif head.transport is not None:
        piece.lost = True
        state.upload.challenges += not _unproved(state)
        _challenged(state, head.code, head.transport, state.upload.challenges, now)


def _unproved(state: ConnectionState) -> bool:
    """True when a challenge is being met already: many requests under way meet one change of address."""
    return state.transport is not None and state.transport.embryo


def _challenged(state: ConnectionState, code: Refusal, frame: TransportFrame, in_a_row: int, now: int) -> None:
    """The fresh continuation proves the path by being used; what was claimed under the old one is void.

    Each is bound to the address that the replica saw. Where every replica sees another one (a balancer with many
    addresses, a pool of translators) no continuation of one is good at the next: cling to one, then give up.
    """
    if code is Refusal.ADDRESS:
        state.note_other_path()
    adopt(state, frame, now)
    if in_a_row > 2 * CHALLENGES:
        expired = code is Refusal.EXPIRED
        raise ConnectionFailed("continuations keep expiring" if expired else "address keeps changing")
    if in_a_row > CHALLENGES:
        state.cling()


def _elsewhere(state: ConnectionState, claim: Claim, sent: SentRequest, code: Refusal, now: int) -> None:
    """This replica lacks the content or the epoch: ask another one, the first again when all were asked."""
    claim.refusals += 1
    if claim.refused_at is None:
        claim.refused_at = now
    if state.lacking_since is None:
        state.lacking_since = now
    _give_up(state, claim, claim.refused_at, code, now)
    if _leave(state, claim, sent, claim.refusals, now) and claim.retry_at is not None:
        claim.sent_at = claim.retry_at


def _hinted(state: ConnectionState, claim: Claim, sent: SentRequest, now: int) -> None:
    """Perhaps this replica lacks the epoch: a mere hint puts off neither probes nor giving up."""
    interval = state.round_trip.probe_timeout(state.limits)
    if claim.requests[claim.newest] is not sent or not state.fleet.heeds(sent.replica, now, interval):
        return
    claim.hints += 1
    state.counters.hit("refused.epoch")
    state.fleet.silent(sent.replica, now)
    if not state.doubt(sent.replica, now):
        _leave(state, claim, sent, claim.hints, now)


def _leave(state: ConnectionState, claim: Claim, sent: SentRequest, refusals: int, now: int) -> bool:
    """Ask another replica than the one that refused; False when the claim has been repeated elsewhere already."""
    state.fleet.silent(sent.replica, now)
    if claim.requests[claim.newest] is not sent:
        return False
    claim.replica = state.fleet.other(sent.replica, now)
    claim.retry_at = now + state.fleet.pause(refusals, state.limits.busy_delay)
    return True


def _input_lost(state: ConnectionState, claim: Claim, sent: SentRequest, now: int) -> None:
    """That replica's spool lacks what was committed: ask the others, then upload it again, and in the end give up."""
    claim.refusals += 1
    fleet = state.fleet
    if claim.refusals >= len(fleet.replicas):
        again = state.upload.again(sent.replica)
        if again or fleet.exhausted(claim.refusals):
            state.counters.hit("uploads_repeated" if again else "uploads_lost")
            if not again:
                state.lose_input("input lost: upload it again")
            claim.lost = True
            close(state, claim)
            return
    if claim.requests[claim.newest] is sent:
        claim.replica = fleet.other(sent.replica, now)
        claim.retry_at = claim.sent_at = now + fleet.pause(claim.refusals, state.limits.busy_delay)


def _give_up(state: ConnectionState, claim: Claim, since: int, code: Refusal, now: int) -> None:
    """ConnectionFailed when all have been asked often enough, and had the time to learn of a new epoch.

    Restarts take the place of claims while a replica is silent that could continue: then time counts.
    """
    learned = code is not Refusal.EPOCH or now - since >= state.limits.rotation_patience
    too_long = state.lacking_since is not None and now - state.lacking_since > state.limits.give_up_after
    if too_long or (learned and state.fleet.exhausted(claim.refusals)):
        raise ConnectionFailed("no replica can continue")
