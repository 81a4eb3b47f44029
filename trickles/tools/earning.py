"""What a request earns, reckoned from an opened continuation as a listener would: for people to read."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.trickle import Episode, course
from trickles.wire.request import RequestBody


@dataclass(frozen=True, slots=True)
class Earning:
    """Packet numbers [start, stop) and the window behind them; a listener may grant less, never more."""

    start: int
    stop: int
    window: int


def earning(body: RequestBody, episode: Episode) -> Earning | None:
    """The arithmetic of a request that is no restart; None when it speaks for numbers out of its episode."""
    if body.lo < episode.base or any(start < episode.base for start, _, _ in body.runs):
        return None
    followed = course(episode, [(start, stop) for start, stop, _ in body.runs])
    if body.runs and not followed.reaches(body.runs[-1][1]):
        return None
    return Earning(followed.edge(body.lo), followed.edge(body.hi), followed.window(body.hi))
