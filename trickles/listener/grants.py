"""What one request earns: proof checked, course followed, numbers claimed."""

from __future__ import annotations

from typing import NamedTuple

from trickles.limits import Limits
from trickles.listener.claims import Claims, ClaimTable
from trickles.listener.paths import Path
from trickles.trickle import UNBOUNDED_SSTHRESH, Course, Episode, course, paused, rescaled, timed_out
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import RequestBody


class Decision(NamedTuple):
    """Packet numbers [start, stop) earned; `fresh` when the client needs a continuation for a changed episode."""

    start: int
    stop: int
    episode: Episode
    fresh: bool
    datagram_bytes: int
    claims: Claims  # where the numbers are noted
    short: bool = False  # what lies above `stop` was granted before, and is void


class Refused(NamedTuple):
    """Nothing earned; the name of the counter says why."""

    counter: str


_RESTART, _CLEAN, _PROBE = RequestFlag.RESTART, RequestFlag.CLEAN, RequestFlag.PROBE
BAD_PROOF = Refused("dropped.bad_proof")
CLAIMED = Refused("dropped.claimed")
IMPATIENT = Refused("dropped.impatient")
NOTHING = Refused("dropped.nothing_earned")


def decide(path: Path, body: RequestBody, table: ClaimTable, *, now: int, limits: Limits) -> Decision | Refused:
    """The decision on one authenticated request; everything it depends on is sealed, proved or soft."""
    episode = path.state.episode
    flags, _, _, _, _, runs, wants, _, _, _ = body  # taken apart at once: this is asked of every request
    if len(runs) > limits.max_runs or len(wants) > limits.max_wants:
        return BAD_PROOF
    base, proof = episode.base, path.nonces.run
    for start, stop, nonce in runs:
        if start < base or proof(start, stop) != nonce:
            return BAD_PROOF
    if len(runs) == 1 and runs[0][0] == base:  # nothing was lost: the episode goes on
        followed: Episode | Course = episode
    else:
        followed = course(episode, [(start, stop) for start, stop, _ in runs])
        if runs and not followed.reaches(runs[-1][1]):  # received in an episode that this continuation is not of
            return BAD_PROOF
    claims = table.of(path.connection)
    if flags & _RESTART:
        return _restart(path, body, followed, claims, now, limits)
    if path.state.embryo:
        return IMPATIENT
    return _continue(path, body, followed, claims, now, limits)


def _continue(
    path: Path, body: RequestBody, followed: Episode | Course, claims: Claims, now: int, limits: Limits
) -> Decision | Refused:
    if body.lo < path.state.episode.base:
        return BAD_PROOF
    start, stop = followed.edge(body.lo), followed.edge(body.hi)
    size = path.state.datagram_bytes
    stop = min(stop, start + _most_packets(size, limits), limits.max_number)
    if stop <= start:
        return NOTHING
    if not claims.claim(start, stop):
        if not _may_probe(body, claims, now, limits):
            return CLAIMED
        start = stop - 1  # served here before: one packet tells the client that the rest was lost
    if isinstance(followed, Episode):
        return Decision(start, stop, followed, False, size, claims)
    return Decision(start, stop, followed.episode, len(followed.legs) > 1, size, claims)


def _may_probe(body: RequestBody, claims: Claims, now: int, limits: Limits) -> bool:
    """A repeat of what was served here earns one packet, no more often than a client's probe timer runs."""
    return bool(body.flags & _PROBE) and claims.may_probe(now=now, interval=limits.min_probe_interval)


def _restart(
    path: Path, body: RequestBody, followed: Episode | Course, claims: Claims, now: int, limits: Limits
) -> Decision | Refused:
    state = path.state
    flags, size, _, _, base, runs, _, _, _, _ = body
    whole, proved = followed is state.episode, runs[-1][1] if runs else state.episode.base
    window = followed.window(proved)
    bound = proved + window if whole else followed.edge(proved)
    if not bound <= base <= bound + limits.max_restart_skip or base > limits.max_number - limits.max_window:
        return BAD_PROOF
    served = claims.claimed(base, base + 1)
    if served and not _may_probe(body, claims, now, limits):
        return CLAIMED
    unused = served or claims.may_pause(state.issued)
    last = followed if isinstance(followed, Episode) else followed.episode
    if state.embryo and unused:
        episode = Episode(base, limits.initial_window, state.episode.ssthresh, state.episode.law)
    elif unused and flags & _CLEAN and whole:
        episode = paused(last, window, base, limits.idle_window)
    elif served or claims.may_restart(now=now, interval=limits.min_restart_interval):
        episode = timed_out(last, window, base)
    else:
        return IMPATIENT
    return _begun(state.datagram_bytes, size, episode, claims, limits, served)


def _begun(
    old_size: int, size: int, episode: Episode, claims: Claims, limits: Limits, served: bool
) -> Decision | Refused:
    """The decision to begin `episode`; if it was begun here before, one packet of it tells the client."""
    if size != old_size:
        size = max(limits.min_datagram_bytes, min(size, limits.max_datagram_bytes))
        episode = rescaled(episode, old_size, size)
    base, start, _, _ = episode
    if served:
        return Decision(base, base + 1, episode, True, size, claims, True)
    stop = base + start
    if start > limits.max_burst_packets:
        stop = min(stop, base + _most_packets(size, limits))
    return Decision(base, stop, episode, True, size, claims) if claims.claim(base, stop) else CLAIMED


def _most_packets(datagram_bytes: int, limits: Limits) -> int:
    return max(limits.max_burst_packets, 4 * limits.max_burst_bytes // datagram_bytes, 1)


__all__ = ["UNBOUNDED_SSTHRESH", "Decision", "Refused", "decide"]
