"""What a refusal changes."""

from __future__ import annotations

from trickles.client.claims import Claim
from trickles.client.settling import adopt, close
from trickles.client.state import ConnectionState
from trickles.client.uploading import Piece
from trickles.errors import ConnectionFailed
from trickles.limits import MILLISECOND, SECOND
from trickles.service import Refusal
from trickles.wire.refusal import RefusalHead

PATIENCE = 3 * SECOND  # a server at work says so every second, and at first each time it has lasted twice as long
LEAST_PATIENCE = 250 * MILLISECOND  # a busy replica may be late to say so
NOTICES_LOST = 8  # times what it has lasted so far: two notices may be lost


def refused(state: ConnectionState, claim: Claim, head: RefusalHead, now: int) -> None:
    """Act on a refusal of `claim`; ConnectionFailed when the transfer cannot go on."""
    if head.code is Refusal.GONE and head.tag:
        raise ConnectionFailed("gone")
    if head.code is Refusal.WORKING and head.tag:
        state.progress_at = now
        claim.patience = now + max(LEAST_PATIENCE, min(NOTICES_LOST * (now - claim.sent_at), PATIENCE))
    elif head.code in (Refusal.EXPIRED, Refusal.ADDRESS) and head.transport is not None:
        _challenged(state, claim, head, now)
    elif head.code is Refusal.BUSY and head.tag:
        state.progress_at = now
        claim.retry_at = claim.sent_at = now + (state.limits.busy_delay << min(claim.refusals, 3))
        claim.refusals += 1
    elif head.code in (Refusal.NOT_HERE, Refusal.EPOCH):
        _elsewhere(state, claim, head, now)


def piece_refused(state: ConnectionState, piece: Piece, head: RefusalHead, now: int) -> None:
    """A piece was not taken: a fresh continuation, no spool in this fleet, or no room in it."""
    state.progress_at = now
    state.counters.hit(f"refused.{head.code.name.lower()}")
    if head.code is Refusal.NO_SPOOL:
        state.upload.give_up()
    elif head.code is Refusal.FULL:
        raise ConnectionFailed("spool full")
    elif head.transport is not None:
        piece.lost = True
        adopt(state, head.transport, now)


def _challenged(state: ConnectionState, claim: Claim, head: RefusalHead, now: int) -> None:
    """The fresh continuation proves the path by being used; what was claimed under the old one is void."""
    claim.lost = True
    close(state, claim)
    state.progress_at = now
    assert head.transport is not None
    adopt(state, head.transport, now)


def _elsewhere(state: ConnectionState, claim: Claim, head: RefusalHead, now: int) -> None:
    """This replica lacks the content or the epoch: ask another one, the first again when all were asked."""
    claim.refusals += 1
    if claim.refused_at is None:
        claim.refused_at = now
    if head.tag:
        state.progress_at = now
        _give_up(state, claim, claim.refused_at, head.code, now)
    state.fleet.silent(claim.replica, now)
    claim.replica = state.fleet.other(claim.replica, now)
    claim.retry_at = now + state.fleet.pause(claim.refusals, state.limits.busy_delay)
    if head.tag:  # a mere hint puts off neither probes nor giving up
        claim.sent_at = claim.retry_at


def _give_up(state: ConnectionState, claim: Claim, since: int, code: Refusal, now: int) -> None:
    """ConnectionFailed when all have been asked often enough, and had the time to learn of a new epoch."""
    learned = code is not Refusal.EPOCH or now - since >= state.limits.rotation_patience
    if learned and state.fleet.exhausted(claim.refusals):
        raise ConnectionFailed("no replica can continue")
