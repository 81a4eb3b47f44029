"""What one request earns: proof checked, course followed, numbers claimed."""

from __future__ import annotations

from typing import NamedTuple

from trickles.limits import Limits
from trickles.listener.paths import Path
from trickles.replay import ClaimTable
from trickles.trickle import UNBOUNDED_SSTHRESH, Course, Episode, course, rescaled, restarted
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import RequestBody


class Decision(NamedTuple):
    """Packet numbers [start, stop) earned; `fresh` when the client needs a continuation for a changed episode."""

    start: int
    stop: int
    episode: Episode
    fresh: bool
    datagram_bytes: int


class Refused(NamedTuple):
    """Nothing earned; the name of the counter says why."""

    counter: str


BAD_PROOF = Refused("dropped.bad_proof")
CLAIMED = Refused("dropped.claimed")
IMPATIENT = Refused("dropped.impatient")
NOTHING = Refused("dropped.nothing_earned")


def decide(path: Path, body: RequestBody, claims: ClaimTable, *, now: int, limits: Limits) -> Decision | Refused:
    """The decision on one authenticated request; everything it depends on is sealed, proved or soft."""
    episode = path.state.episode
    if len(body.runs) > limits.max_runs or len(body.wants) > limits.max_wants:
        return BAD_PROOF
    for start, stop, nonce in body.runs:
        if start < episode.base or path.nonces.run(start, stop) != nonce:
            return BAD_PROOF
    followed = course(episode, [(start, stop) for start, stop, _ in body.runs])
    if body.flags & RequestFlag.RESTART:
        return _restart(path, body, followed, claims, now, limits)
    if path.state.embryo:
        return IMPATIENT
    return _continue(path, body, followed, claims, now, limits)


def _continue(
    path: Path, body: RequestBody, followed: Course, claims: ClaimTable, now: int, limits: Limits
) -> Decision | Refused:
    if body.lo < path.state.episode.base:
        return BAD_PROOF
    start, stop = followed.edge(body.lo), followed.edge(body.hi)
    size = path.state.datagram_bytes
    stop = min(stop, start + _most_packets(size, limits), limits.max_number)
    if stop <= start:
        return NOTHING
    if not claims.claim(path.connection, start, stop):
        if not _may_probe(path, body, claims, now, limits):
            return CLAIMED
        start = stop - 1  # served here before: one packet tells the client that the rest was lost
    return Decision(start, stop, followed.episode, len(followed.legs) > 1, size)


def _may_probe(path: Path, body: RequestBody, claims: ClaimTable, now: int, limits: Limits) -> bool:
    """A repeat of what was served here earns one packet, no more often than a client's probe timer runs."""
    probe = bool(body.flags & RequestFlag.PROBE)
    return probe and claims.may_probe(path.connection, now=now, interval=limits.min_probe_interval)


def _restart(
    path: Path, body: RequestBody, followed: Course, claims: ClaimTable, now: int, limits: Limits
) -> Decision | Refused:
    state, base = path.state, body.restart_base
    proved = body.runs[-1][1] if body.runs else state.episode.base
    bound = followed.edge(proved)
    size = max(limits.min_datagram_bytes, min(body.datagram_bytes, limits.max_datagram_bytes))
    if not bound <= base <= min(bound + limits.max_restart_skip, limits.max_number - limits.max_window):
        return BAD_PROOF
    served = claims.claimed(path.connection, base, base + 1)
    if served and not _may_probe(path, body, claims, now, limits):
        return CLAIMED
    unused = served or claims.may_pause(path.connection, state.issued)
    if state.embryo and unused:
        episode = Episode(base, limits.initial_window, state.episode.ssthresh, state.episode.law)
    elif body.flags & RequestFlag.CLEAN and unused and len(body.runs) == 1 and body.runs[0][0] == state.episode.base:
        episode = restarted(followed, proved, base, clean=True, idle_window=limits.idle_window)
    elif served or claims.may_restart(path.connection, now=now, interval=limits.min_restart_interval):
        episode = restarted(followed, proved, base, clean=False, idle_window=limits.idle_window)
    else:
        return IMPATIENT
    episode = rescaled(episode, state.datagram_bytes, size)
    stop = base + min(episode.start, _most_packets(size, limits))
    if not served and not claims.claim(path.connection, base, stop):
        return CLAIMED
    return Decision(base, base + 1 if served else stop, episode, True, size)


def _most_packets(datagram_bytes: int, limits: Limits) -> int:
    return max(limits.max_burst_packets, 4 * limits.max_burst_bytes // datagram_bytes, 1)


__all__ = ["UNBOUNDED_SSTHRESH", "Decision", "Refused", "decide"]
