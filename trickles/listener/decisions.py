"""What a listener decides about a request: what it earns, or why nothing."""

from __future__ import annotations

from typing import NamedTuple

from trickles.limits import Limits
from trickles.listener.claims import Taken
from trickles.trickle import Episode


class Decision(NamedTuple):
    """Packet numbers [start, stop) earned; `fresh` when the client needs a continuation for a changed episode."""

    start: int
    stop: int
    episode: Episode
    fresh: bool
    datagram_bytes: int
    taken: Taken | None  # for the case that it is not served; None for a repeat, which takes nothing
    repeated: bool = False  # all of the claim was sent from here before: one packet says so, and proves nothing


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
