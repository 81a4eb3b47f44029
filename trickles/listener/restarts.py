"""Restarts: the window of a new episode, by what is proved and what is remembered here.

| restart | start |
|---|---|
| with an unvalidated address | the initial window the first time; later at most two for each number proved since |
| after a pause, all proved, the last of it sent from here | the window before the pause, up to the idle window |
| after a pause, all proved, served elsewhere | the same, but at most the initial window, and as in the first line |
| any other, or with a continuation not issued after the last one used up | one or two, as after a timeout |

Two for each number proved is what slow start gives: a client that pauses at several replicas in turn, and proves one
packet of each window, gains nothing by it. (With a whole initial window, 300 packets in 10 s.)

"All proved" is checked against the highest number that was sent from here, so a loss cannot be hidden. The window
before a pause has itself been proved, packet by packet, from an initial window on; so it is not bounded by the proof of
the last episode, which would shrink the window of lightly used connections. A restart uses up all numbers below its
base, so a window cannot be kept twice, once by the pause and once by requests held back; and it uses up the
continuation, so an older one is of no use afterwards.
"""

from __future__ import annotations

from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.listener.claims import Claims
from trickles.listener.decisions import BAD_PROOF, CLAIMED, IMPATIENT, Decision, Refused, most_packets
from trickles.listener.pacing import newly_proved
from trickles.listener.sizes import size_proved
from trickles.trickle import Course, Episode, paused, rescaled, timed_out
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import RequestBody
from trickles.wire.transport import TransportState

_CLEAN, _PROBE = RequestFlag.CLEAN, RequestFlag.PROBE
_new = tuple.__new__  # faster than the class, for values made for every small exchange


def restart(
    ring: Keyring,
    state: TransportState,
    body: RequestBody,
    lossy: Course | None,
    claims: Claims,
    now: int,
    limits: Limits,
) -> Decision | Refused:
    """Decide on a request that restarts, its proof checked; `lossy` is the course if it has holes."""
    flags, size, high, low, base, runs, _, _, _, _ = body
    pace, top, kept, last = claims.pace, claims.top, 0, state.episode
    used, shown, _, _ = pace
    if lossy is None:  # one run from its base on
        first, proved, _ = runs[0]
        window = last.window(proved)
        bound, whole = proved + window, True
        new = proved - first if first >= shown else max(proved - shown, 0)
    else:
        proved = runs[-1][1] if runs else last.base
        window, bound, whole = lossy.window(proved), lossy.edge(proved), False
        new, last = newly_proved(runs, shown), lossy.episode
    if not bound <= base <= bound + limits.max_restart_skip or base > limits.max_number - limits.max_window:
        return BAD_PROOF
    if base < claims.above and claims.claimed(base, base + 1):
        return _again(body, claims, now, limits)
    if state.issued > used and (state.embryo or (whole and flags & _CLEAN and proved >= top)):
        kept = limits.idle_window if whole and proved == top and new else _elsewhere(claims, new, limits)
    if not kept:
        episode = timed_out(last, window, base)
        after = pace.timed_out(base, new, now, limits)
        if after is None:
            return IMPATIENT
    else:
        episode = paused(last, window, base, kept) if not state.embryo else _first(state.episode, base, kept, limits)
        after = pace.paused(state.issued, base, new, limits)
    if size != state.datagram_bytes:
        if not limits.min_datagram_bytes <= size <= limits.max_datagram_bytes or (
            size > state.datagram_bytes and not size_proved(ring, high << 32 | low, state.address, size, now, limits)
        ):
            size = limits.min_datagram_bytes
        episode = rescaled(episode, state.datagram_bytes, size)
    _, start, _, _ = episode
    stop = base + (start if start <= limits.max_burst_packets else min(start, most_packets(size, limits)))
    if not claims.restart((episode, size), stop, after):
        return CLAIMED
    return _new(Decision, (base, stop, episode, True, size, claims, top, (pace, after)))


def _elsewhere(claims: Claims, new: int, limits: Limits) -> int:
    """Return the largest window of a restart that was not served from here lately; 0 without new proof."""
    return min(limits.initial_window, 2 * new) if claims.begun else limits.initial_window


def _first(unproved: Episode, base: int, kept: int, limits: Limits) -> Episode:
    """Return the episode at `base` of a client whose restart validates its address."""
    _, _, ssthresh, law = unproved
    return _new(Episode, (base, max(2, min(kept, limits.initial_window)), ssthresh, law))


def _again(body: RequestBody, claims: Claims, now: int, limits: Limits) -> Decision | Refused:
    """Decide on a repeat of a granted restart; no other number in use can be a base."""
    begun = claims.find(body.restart_base)
    if begun is None or not body.flags & _PROBE or not claims.may_repeat(body.runs, now=now, limits=limits):
        return CLAIMED
    episode, size = begun
    return Decision(episode.base, episode.base + 1, episode, True, size, None)
