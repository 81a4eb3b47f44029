"""Decisions on requests: the numbers earned, or the reason for none."""

from __future__ import annotations

from typing import NamedTuple

from trickles.limits import Limits
from trickles.listener.claims import Claims
from trickles.listener.pacing import Pace
from trickles.trickle import Episode


class Decision(NamedTuple):
    """Packet numbers [start, stop) earned; `fresh` when the client needs a continuation for a changed episode.

    It records what the request claimed here, so that exactly this can be released.
    """

    start: int
    stop: int
    episode: Episode
    fresh: bool
    datagram_bytes: int
    claims: Claims | None  # where the numbers are claimed; None for a greeting or a repeat
    top: int = 0  # of the claims, before
    paces: tuple[Pace, Pace] | None = None  # of a restart: before and after

    def give_back(self) -> None:
        """Release the claim of a request that is not served, so that a repeat may be; a later restart stands."""
        start, stop, _, _, _, claims, top, paces = self
        if claims is None:
            return
        claims.release(start, stop)
        if claims.top == stop:
            claims.top = top
        if paces is not None and claims.pace is paces[1]:
            claims.undo(paces[0])


class Refused(NamedTuple):
    """A refusal without an answer; the counter's name says why."""

    counter: str


BAD_PROOF = Refused("dropped.bad_proof")
CLAIMED = Refused("dropped.claimed")
ENDED = Refused("dropped.ended")
IMPATIENT = Refused("dropped.impatient")
NOTHING = Refused("dropped.nothing_earned")


def most_packets(datagram_bytes: int, limits: Limits) -> int:
    """Return the most packets that one request earns, whatever it proves."""
    return max(limits.max_burst_packets, 4 * limits.max_burst_bytes // datagram_bytes, 1)
