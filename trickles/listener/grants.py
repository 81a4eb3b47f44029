"""Grants: proof checked, course followed, numbers claimed."""

from __future__ import annotations

from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.listener.claims import Claims, ClaimTable
from trickles.listener.decisions import BAD_PROOF, CLAIMED, ENDED, IMPATIENT, NOTHING, Decision, Refused, most_packets
from trickles.listener.paths import Path
from trickles.listener.restarts import restart
from trickles.trickle import Course, course
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import RequestBody, Run
from trickles.wire.transport import TransportState

_RESTART, _PROBE = RequestFlag.RESTART, RequestFlag.PROBE
_new = tuple.__new__  # faster than the class, for values made for every request


def decide(
    ring: Keyring, path: Path, body: RequestBody, table: ClaimTable, *, now: int, limits: Limits
) -> Decision | Refused:
    """Decide on one authenticated request; everything it depends on is sealed, proved or soft."""
    flags, _, _, _, _, runs, wants, _, _, _ = body  # unpacked at once: this runs for every request
    if len(wants) > limits.max_wants:
        return BAD_PROOF
    state, lossy = path.state, None
    if len(runs) == 1 and runs[0][0] == state.episode.base:  # nothing was lost: the episode goes on
        start, stop, nonce = runs[0]
        if path.nonces.run(start, stop) != nonce:
            return BAD_PROOF
    elif (lossy := _course(path, runs, limits)) is None:
        return BAD_PROOF
    claims = table.of(path.session.identity)
    if flags & _RESTART:
        return restart(ring, state, body, lossy, claims, now, limits)
    if state.embryo:
        return IMPATIENT
    return _continue(state, body, lossy, claims, now, limits)


def _course(path: Path, runs: tuple[Run, ...], limits: Limits) -> Course | None:
    """Return the course when exactly these runs were received; None when they prove nothing."""
    episode = path.state.episode
    if len(runs) > limits.max_runs or (runs and runs[0][0] < episode.base) or not path.nonces.holds(runs):
        return None
    followed = course(episode, [(start, stop) for start, stop, _ in runs])
    if runs and not followed.reaches(runs[-1][1]):  # received in an episode of another continuation
        return None
    return followed


def _continue(
    state: TransportState, body: RequestBody, lossy: Course | None, claims: Claims, now: int, limits: Limits
) -> Decision | Refused:
    _, _, lo, hi, _, runs, _, _, _, _ = body
    episode, ended, size = state.episode, claims.ended, state.datagram_bytes
    base = episode.base
    if lo < base:
        return BAD_PROOF
    if ended >= base and any(first <= ended < stop for first, stop, _ in runs):
        return ENDED
    edge = episode.edge if lossy is None else lossy.edge
    start, stop = edge(lo), edge(hi)
    stop = min(stop, start + most_packets(size, limits), limits.max_number)
    if stop <= start:
        return NOTHING
    top = claims.top
    noted: Claims | None = claims
    if not claims.claim(start, stop):
        if not body.flags & _PROBE or not claims.may_repeat(runs, now=now, limits=limits):
            return CLAIMED
        start, noted = stop - 1, None
    if lossy is not None:
        return Decision(start, stop, lossy.episode, len(lossy.legs) > 1, size, noted, top)
    return _new(Decision, (start, stop, episode, False, size, noted, top, None))
