"""What one request earns: proof checked, course followed, numbers claimed."""

from __future__ import annotations

from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.listener.claims import Claims, ClaimTable
from trickles.listener.decisions import BAD_PROOF, CLAIMED, ENDED, IMPATIENT, NOTHING, Decision, Refused, most_packets
from trickles.listener.paths import Path
from trickles.listener.restarts import restart
from trickles.trickle import Course, Episode, course
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import RequestBody, Run

_RESTART, _PROBE = RequestFlag.RESTART, RequestFlag.PROBE


def decide(
    ring: Keyring, path: Path, body: RequestBody, table: ClaimTable, *, now: int, limits: Limits
) -> Decision | Refused:
    """The decision on one authenticated request; everything it depends on is sealed, proved or soft."""
    flags, _, _, _, _, runs, wants, _, _, _ = body  # taken apart at once: this is asked of every request
    if len(wants) > limits.max_wants:
        return BAD_PROOF
    episode = path.state.episode
    followed: Episode | Course = episode
    if len(runs) == 1 and runs[0][0] == episode.base:  # nothing was lost: the episode goes on
        start, stop, nonce = runs[0]
        if path.nonces.run(start, stop) != nonce:
            return BAD_PROOF
    elif (lossy := _course(path, runs, limits)) is None:
        return BAD_PROOF
    else:
        followed = lossy
    claims = table.of(path.session.identity)
    if flags & _RESTART:
        return restart(ring, path, body, followed, claims, now, limits)
    if path.state.embryo:
        return IMPATIENT
    return _continue(path, body, followed, claims, now, limits)


def _course(path: Path, runs: tuple[Run, ...], limits: Limits) -> Course | None:
    """What follows when exactly these runs were received; None when they prove nothing."""
    episode = path.state.episode
    if len(runs) > limits.max_runs or (runs and runs[0][0] < episode.base) or not path.nonces.holds(runs):
        return None
    followed = course(episode, [(start, stop) for start, stop, _ in runs])
    if runs and not followed.reaches(runs[-1][1]):  # received in an episode that this continuation is not of
        return None
    return followed


def _continue(
    path: Path, body: RequestBody, followed: Episode | Course, claims: Claims, now: int, limits: Limits
) -> Decision | Refused:
    base, ended = path.state.episode.base, claims.ended
    if body.lo < base:
        return BAD_PROOF
    if ended >= base and any(first <= ended < stop for first, stop, _ in body.runs):
        return ENDED
    start, stop = followed.edge(body.lo), followed.edge(body.hi)
    size = path.state.datagram_bytes
    stop = min(stop, start + most_packets(size, limits), limits.max_number)
    if stop <= start:
        return NOTHING
    top = claims.top
    noted: Claims | None = claims
    if not claims.claim(start, stop):
        if not body.flags & _PROBE or not claims.may_repeat(body.runs, now=now, limits=limits):
            return CLAIMED
        start, noted = stop - 1, None
    if isinstance(followed, Episode):
        return Decision(start, stop, followed, False, size, noted, top)
    return Decision(start, stop, followed.episode, len(followed.legs) > 1, size, noted, top)
