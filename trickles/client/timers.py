"""Every deadline of a connection: delayed requests, losses by time, probes, timeouts, giving up."""

from __future__ import annotations

from collections.abc import Callable

from trickles.client.claims import Claim
from trickles.client.settling import close
from trickles.client.state import ConnectionState
from trickles.errors import ConnectionFailed
from trickles.limits import MILLISECOND
from trickles.ranges import Range

DUPLICATE_THRESHOLD = 3  # later packets that make a hole a loss (RFC 5681 section 3.2)
NEVER = 1 << 62
SMOOTH_FOR = MILLISECOND  # at high rates one request speaks for about this long


class Timers:
    """Only the client has timers; all of them derive from the connection's state."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state
        self._speak_at: int | None = None

    # requests

    def may_speak(self, now: int) -> bool:
        """True when enough has arrived for a request, nothing more is on its way, or waiting has lasted long enough."""
        state = self._state
        unspoken = state.board.cursor - state.spoken
        if unspoken >= self._threshold() or not any(not claim.done for claim in state.claims):
            self._speak_at = None
            return True
        if self._speak_at is None:
            srtt = state.round_trip.srtt or MILLISECOND
            self._speak_at = now + min(max(srtt >> 2, MILLISECOND), 25 * MILLISECOND)
        if now < self._speak_at:
            return False
        self._speak_at = None
        return True

    def _threshold(self) -> int:
        """Numbers per request: two at low rates, a full burst at high ones, never over a quarter of the window."""
        state = self._state
        window = state.board.course.window(state.board.cursor)
        per_interval = window * SMOOTH_FOR // max(state.round_trip.srtt or SMOOTH_FOR, 1)
        return max(min(state.burst_packets, window >> 2, per_interval), min(2, state.burst_packets))

    def needs_restart(self, now: int) -> bool:
        """True when only a new episode can go on."""
        state = self._state
        if state.transport is None:
            return False
        if state.transport.embryo or state.timed_out:
            return True
        if state.broken:  # with packets still out of order it is too early to tell a loss
            return bool(state.board.holes or not state.board.waiting)
        if len(state.claims):
            return False
        edge = state.board.course.edge
        if edge(state.spoken) >= edge(state.board.cursor):  # what arrived earns nothing, and nothing more will come
            return not state.board.waiting
        idle = now - state.progress_at > state.round_trip.timeout(state.limits)
        return idle or (state.widens and state.board.clean)

    # losses

    def lapsed(self, now: int) -> list[Claim]:
        """Declare what is lost by count or by time; returns the claims that are over by it."""
        state, over = self._state, []
        while (hole := state.board.hole()) is not None:
            if self._of_next_episode(hole):
                break
            if hole[1] >= state.board.reach:  # answers a restart that was given up: no proof of this episode
                state.board.discard_waiting(state.restarting.start if state.restarting is not None else NEVER)
                continue
            by_count = not state.fleet.spreads and state.board.waiting >= state.reorder_packets
            if self._patient(now) or not (by_count or now >= self._overdue_at()):
                break
            start, stop = state.board.declare_lost()
            state.counters.hit("lost", stop - start)
            over += state.claims.settle(start, stop)
        if state.board.shattered:
            state.broken = True
        base, known = state.board.episode.base, set(over)
        for claim in state.claims:
            passed = claim.stop <= base and claim.patience < now and claim is not state.restarting
            if passed and claim not in known and now >= state.begun_at + self._reorder_window():
                claim.lost = True
                over.append(claim)
        return over

    def _of_next_episode(self, hole: Range) -> bool:
        """True when what lies above the hole may answer a restart: that is proved in the episode that begins by it.

        An embryo is left by a restart only, and what comes after it is proved by other keys.
        """
        state = self._state
        if state.transport is not None and state.transport.embryo:
            return True
        return state.restarting is not None and hole[1] >= state.restarting.start

    def _holds(self, claim: Claim) -> bool:
        """True when the first hole lies in that claim."""
        return claim.start <= self._state.board.cursor < claim.stop

    def _patient(self, now: int) -> bool:
        return any(self._holds(claim) and claim.patience > now for claim in self._state.claims)

    def _overdue_at(self) -> int:
        """When the first hole counts as lost; with paths that differ, by what has come along its own."""
        state, window = self._state, self._reorder_window()
        if state.striping is not None:
            for claim in state.claims:
                if self._holds(claim):
                    return state.striping.overdue_at(claim, window)
        return state.board.hole_since + window

    def _reorder_window(self) -> int:
        """How long a hole may stay open: a quarter of the round trip, more once that proved too short (RFC 8985)."""
        state = self._state
        srtt = state.round_trip.srtt or MILLISECOND
        share = srtt >> 1 if state.fleet.spreads else srtt >> 2
        return max(min(share * state.reorder_steps, srtt), MILLISECOND) + state.fleet.unevenness

    # silence

    def _waiting(self) -> list[Claim]:
        return [claim for claim in self._state.claims if claim.retry_at is None]

    def _deadlines(self) -> tuple[int, int] | None:
        """When to probe and when to restart, while something is awaited; a repeat puts off the next probe only."""
        state = self._state
        first = repeated = NEVER
        for claim in state.claims:  # one pass: this is reckoned whenever something was sent
            patience, at = claim.patience, claim.sent_at
            at = patience if patience > at else at
            first = at if at < first else first
            if claim.retry_at is None:
                at = patience if patience > claim.sent_last else claim.sent_last
                repeated = at if at < repeated else repeated
        if first == NEVER:
            return None
        rto = max(state.progress_at, first) + state.round_trip.timeout(state.limits)
        if repeated == NEVER:
            return rto, rto
        pause = state.round_trip.probe_timeout(state.limits) << state.probes
        return min(max(state.progress_at, repeated) + pause, rto), rto

    def deadline(self, due: Callable[[], bool]) -> int | None:
        """The earliest time at which `expired` or another look at the connection is due."""
        state = self._state
        if not len(state.claims) and not state.board.waiting:
            return self._piece_deadline() if state.upload.active else None
        times: list[int] = []
        base = state.board.episode.base
        for claim in state.claims:
            if claim.retry_at is not None:
                times.append(claim.retry_at)
            if claim.stop <= base and claim is not state.restarting:
                times.append(max(state.begun_at + self._reorder_window(), claim.patience + 1))
        if (silence := self._deadlines()) is not None:
            times.append(silence[0])
        if self._speak_at is not None:
            may_speak = state.restarting is None and not state.draining and state.spoken < state.board.cursor
            if may_speak and due():
                times.append(self._speak_at)
        if (hole := state.board.hole()) is not None and not self._of_next_episode(hole):
            patience = max((claim.patience for claim in state.claims if self._holds(claim)), default=0)
            times.append(max(self._overdue_at(), patience))
        if state.upload.active and (piece := self._piece_deadline()) is not None:
            times.append(piece)
        return min(times, default=None)

    def _piece_deadline(self) -> int | None:
        state = self._state
        return state.upload.deadline(state.round_trip, state.limits, state.progress_at)

    def expired(self, now: int) -> None:
        """Act on silence: a probe to another replica first, a restart in the end."""
        state = self._state
        if state.upload.active and (piece := self._piece_deadline()) is not None and now >= piece:
            self._pieces_overdue(now)
        if len(state.claims):
            self._give_up(now)
        silence = self._deadlines()
        if silence is None or now < silence[0]:
            return
        if now >= silence[1]:
            self._restart_after_silence(now)
        else:
            self._probe(now)

    def _give_up(self, now: int) -> None:
        """Silence that has lasted too long ends the connection, whatever is still to be repeated."""
        state = self._state
        patience = max((claim.patience for claim in state.claims), default=0)
        if now - max(state.progress_at, state.asked_at, patience) > state.limits.give_up_after:
            raise ConnectionFailed("no replica answers")

    def _pieces_overdue(self, now: int) -> None:
        """No receipt came in time: one piece probes another replica, and in the end all are lost."""
        state = self._state
        self._give_up(now)
        timeout = state.round_trip.timeout(state.limits)
        if state.round_trip.probe_timeout(state.limits) << state.upload.probes < timeout:
            state.upload.probe(lambda silent: state.fleet.other(silent, now))
            return
        state.round_trip = state.round_trip.backed_off()
        for replica in state.upload.asked:
            state.fleet.silent(replica, now)
        state.upload.timed_out(lambda silent: state.fleet.other(silent, now))

    def _probe(self, now: int) -> None:
        state = self._state
        claim = min(self._waiting(), key=lambda waiting: (waiting.patience > now, waiting.sent_at))
        state.probes += 1
        state.counters.hit("probes")
        other = state.fleet.other(claim.replica, now)
        if other != claim.replica:
            claim.moved_from = claim.moved_from or claim.replica
            claim.replica = other
        claim.retry_at = now

    def _restart_after_silence(self, now: int) -> None:
        state = self._state
        state.counters.hit("timeouts")
        state.round_trip = state.round_trip.backed_off()
        state.probes = 0
        if state.restarting is not None and state.restarting.datagram_bytes > state.datagram_bytes:
            state.note_size_lost(state.datagram_bytes)  # larger ones have passed once, but do not now
        for claim in list(state.claims):
            claim.lost = True
            close(state, claim)
        state.fleet.silent(state.fleet.home, now)
        state.timed_out = True
