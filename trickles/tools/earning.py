"""The grant of a request, computed from an opened continuation as by a listener, for people."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.trickle import Episode, course
from trickles.wire.request import RequestBody


@dataclass(frozen=True, slots=True)
class Earning:
    """Packet numbers [start, stop) and the window after them; a listener may grant less, never more."""

    start: int
    stop: int
    window: int


def earning(body: RequestBody, episode: Episode) -> Earning | None:
    """Compute the grant of a request that is no restart; None for numbers outside its episode."""
    if body.lo < episode.base or any(start < episode.base for start, _, _ in body.runs):
        return None
    followed = course(episode, [(start, stop) for start, stop, _ in body.runs])
    if body.runs and not followed.reaches(body.runs[-1][1]):
        return None
    return Earning(followed.edge(body.lo), followed.edge(body.hi), followed.window(body.hi))
