"""What a listener decides about a request: what it earns, or why nothing."""

from __future__ import annotations

from typing import NamedTuple

from trickles.limits import Limits
from trickles.listener.claims import Claims
from trickles.listener.pacing import Pace
from trickles.trickle import Episode


class Decision(NamedTuple):
    """Packet numbers [start, stop) earned; `fresh` when the client needs a continuation for a changed episode.

    It knows what the request took here, so that exactly this can be given back.
    """

    start: int
    stop: int
    episode: Episode
    fresh: bool
    datagram_bytes: int
    claims: Claims | None  # where the numbers are noted; None when nothing is taken: a greeting, a repeat
    top: int = 0  # of the claims, before
    paces: tuple[Pace, Pace] | None = None  # of a restart: the one before, and the one that it left

    def give_back(self) -> None:
        """It is not served, so a repeat of it may be; a restart since then stands, and what it used up."""
        start, stop, _, _, _, claims, top, paces = self
        if claims is None:
            return
        claims.release(start, stop)
        if claims.top == stop:
            claims.top = top
        if paces is not None and claims.pace is paces[1]:
            claims.undo(paces[0])


class Refused(NamedTuple):
    """Nothing earned; the name of the counter says why."""

    counter: str


BAD_PROOF = Refused("dropped.bad_proof")
CLAIMED = Refused("dropped.claimed")
ENDED = Refused("dropped.ended")
IMPATIENT = Refused("dropped.impatient")
NOTHING = Refused("dropped.nothing_earned")


def most_packets(datagram_bytes: int, limits: Limits) -> int:
    """What one request earns at most, whatever it proves."""
    return max(limits.max_burst_packets, 4 * limits.max_burst_bytes // datagram_bytes, 1)
