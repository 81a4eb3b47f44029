"""The flight: the episode in force, its proof, and which packet numbers may be claimed next.

A client owns no window. It holds a transport continuation, which names an episode (base, first window, threshold), and
a proof of the packets of it that arrived, the scoreboard. Both give the course, and the course gives the grant of a
request: one that acknowledges the numbers [lo, hi) claims exactly [edge(lo), edge(hi)). `acknowledged` is the hi of the
last one; `next_number` lies above everything that can have been granted under any episode.

Two ways lead from one episode to the next. A loss shows in the proof, and the server computes the same next episode
from it; its continuation arrives with some answer and `rebase`s the scoreboard, which has followed already. Or a
restart: when the window is stuck, one request claims a new base above `next_number`. While it is under way
(`restarting`) nothing else is sent, and only its answer is taken up. A restart is needed

- from an unvalidated continuation, which allows nothing else (RFC 9000 section 8.1);
- when a reply was short, a proof has too many holes, or a repeat said that the tail is lost (`broken`): that part of
  the window is never granted again;
- after a timeout (`_timed_out`); after two in a row perhaps the proof is at fault (an episode that another replica has
  begun meanwhile), so `_distrusted` shows none until an episode begins: no proof is always valid, and earns least;
- when all is answered and what arrived earns nothing more, the window is old, or larger datagrams wait to be used.

A clean restart, after a pause and with a whole proof, keeps the window; any other begins with one or two packets.

Invariants: `acknowledged` <= board.cursor; a number below `next_number` is never the base of a new episode; an answer
is taken up only if its episode can have been asked for, so a hostile fleet cannot move the base far ahead. Tried and
failed: to restart as soon as a reply was short (packets still out of order were taken for lost, so it waits for holes
to show); and to take any later continuation of the same episode (a copy of an old packet brought back an expired one).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trickles.client.pathmtu import PathMtu
from trickles.client.requests import InFlight
from trickles.client.scoreboard import Scoreboard
from trickles.errors import ConnectionFailed
from trickles.limits import Limits
from trickles.ranges import Range
from trickles.trickle import UNBOUNDED_SSTHRESH, Episode
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import Run
from trickles.wire.response import TransportFrame

_new = tuple.__new__  # faster than the class, for values made for every request
NOTHING_YET = Episode(0, 0, UNBOUNDED_SSTHRESH)


class Claim(NamedTuple):
    """A claim of the numbers [start, stop), by acknowledging [lo, hi) with that proof, or by a restart."""

    start: int
    stop: int
    lo: int
    hi: int
    runs: tuple[Run, ...]
    flags: int
    datagram_bytes: int


class FlightState(NamedTuple):
    """A Flight as a value, for a restart. `clean`: all was answered, and `run` is the whole proof."""

    frame: TransportFrame
    next_number: int
    run: Run | None
    clean: bool


class Flight:
    """Owner of the transport continuation, the scoreboard and the claims."""

    def __init__(self, limits: Limits, path: PathMtu) -> None:
        self._limits = limits
        self._path = path
        self.transport: TransportFrame | None = None
        self.board = Scoreboard(NOTHING_YET, limits)
        self.acknowledged = 0  # numbers below were acknowledged by some request
        self.next_number = 0  # above everything that can have been granted
        self.floor = 0  # packets below are answers from before the connection was resumed: other replies
        self.restarting: InFlight | None = None
        self.renewed_at = 0  # when the continuation in use arrived
        self.begun_at = 0  # when the episode in force began by a restart
        self.challenges = 0  # of the address or an expired continuation, since a packet last came
        self._lacking_since: int | None = None  # when a replica first could not continue, since then
        self._last_base = limits.max_number - limits.max_window  # above no episode can begin
        self.broken = False  # a grant was not used up: only a restart goes on
        self._tail_lost = False  # reported by a repeat, for the episode in force: the next restart is not clean
        self._timed_out = False  # silence lasted: only a restart goes on, and not a clean one
        self._distrusted = False  # proofs went unanswered: none is shown until an episode begins

    @property
    def unvalidated(self) -> bool:
        """True while the continuation proves no address: only a restart may go out under it."""
        return self.transport is not None and self.transport.embryo

    # answers

    def received(self, start: int, nonces: list[int], now: int) -> None:
        """Note that packets start, start + 1, ... arrived; a new one ends a row of challenges or refusals."""
        board = self.board
        if not self.challenges and self._lacking_since is None:
            board.received(start, nonces, now)
            return
        known = board.arrived
        board.received(start, nonces, now)
        if board.arrived != known:
            self.challenges, self._lacking_since = 0, None

    def adopt(self, frame: TransportFrame, now: int, number: int | None = None, *, small: bool = False) -> None:
        """Take a fresh transport continuation, unless its episode is over.

        One of the episode in force replaces the older one only if the packet `number` that brought it is new. `small`:
        the datagram size of the restart was not accepted.
        """
        episode, restarting = frame.episode, self.restarting
        base, start, _, _ = episode
        beyond = base > self.next_number and self.transport is not None
        if base > self._last_base or start > self._limits.max_window or beyond:
            return  # it begins above all claims, or allows more than any window
        if restarting is not None:
            if base < restarting.start:
                return
            restarting.resize(min(restarting.stop, base + max(start, 1)))
            self._begin(frame, now)
            self._path.use(restarting.datagram_bytes)
            if small:
                self._path.on_other_path()
            self.restarting = None
        elif self.transport is None or base > self.board.cursor:
            self._begin(frame, now)
        elif base >= self.board.episode.base:
            if base > self.board.episode.base:
                self.board.rebase(episode)
                self.acknowledged = max(self.acknowledged, base)
            elif number is not None and not self.board.awaits(number):
                return
            self.transport = frame
        else:
            return
        self.renewed_at = now

    def _begin(self, frame: TransportFrame, now: int) -> None:
        """Begin an episode at its first number: nothing of it is proved."""
        self.transport = frame
        base, start, _, _ = frame.episode
        self.board.start_over(frame.episode)
        self.acknowledged = base
        self.next_number = max(self.next_number, base + start)
        self.broken = self._distrusted = self._tail_lost = False
        self.begun_at = now

    def on_short(self, number: int) -> None:
        """Note a short grant, which ends at that number: only a restart goes on, unless the episode is over."""
        if number >= self.board.episode.base:
            self.broken = True

    def on_tail_lost(self) -> None:
        """Note losses at the end, with nothing received above: no proof can show them, so no restart is clean."""
        self._tail_lost = True

    def on_timeout(self) -> None:
        self._timed_out = True

    def on_challenge(self) -> int:
        """Note a challenge; return how many came since the last packet."""
        self.challenges += 1
        return self.challenges

    def on_lacking(self, now: int) -> int:
        """Note that a replica cannot continue; return for how long that has been so, since the last packet."""
        if self._lacking_since is None:
            self._lacking_since = now
        return now - self._lacking_since

    def declare_lost(self) -> Range:
        """Declare the first hole lost for good; return it."""
        lost = self.board.declare_lost()
        if self.board.shattered:
            self.broken = True
        return lost

    def on_over(self, request: InFlight) -> None:
        if self.restarting is request:
            self.restarting = None

    # claims

    @property
    def drains(self) -> bool:
        """True when a restart shall use larger datagrams once nothing is under way."""
        return self._path.widens and self.board.clean

    def is_stuck(self, in_flight: int, idle: Callable[[int], bool], now: int) -> bool:
        """Return True when only a restart can go on; `idle` says whether silence has outlived the window."""
        board = self.board
        if self.transport is None:
            return False
        if self.transport.embryo or self._timed_out:
            return True
        if self.broken:  # with packets still out of order it is too early to detect a loss
            return bool(board.holes or not board.waiting)
        if in_flight:
            return False
        edge = board.course.edge
        if edge(self.acknowledged) >= edge(board.cursor):  # the arrived packets earn nothing, and no more will come
            return not board.waiting
        return idle(now) or self.drains

    def claim(self, packets: int, most_runs: int) -> Claim | None:
        """Acknowledge numbers that earn `packets`, or all that arrived; None when that is nothing, or no proof fits."""
        board, edge, lo = self.board, self.board.course.edge, self.acknowledged
        hi = self._least_earning(edge(lo) + packets)
        start, stop = edge(lo), edge(hi)
        if stop <= start:
            return None
        if stop > self._limits.max_number:
            raise ConnectionFailed("packet numbers used up")
        runs = board.proof()
        if len(runs) > most_runs:
            self.broken = True
            return None
        self.acknowledged = hi
        self.next_number = max(self.next_number, stop)
        return _new(Claim, (start, stop, lo, hi, runs, 0, self._path.datagram_bytes))

    def _least_earning(self, target: int) -> int:
        """Return the least number whose edge reaches `target`, or all that arrived."""
        edge, low, high = self.board.course.edge, self.acknowledged + 1, self.board.cursor
        while low < high:
            middle = (low + high) // 2
            if edge(middle) >= target:
                high = middle
            else:
                low = middle + 1
        return low

    def restart(self, backoff: int, most_runs: Callable[[int], int]) -> Claim:
        """Claim a new episode above all grants so far; `most_runs` gives the runs that fit a datagram of a size."""
        board, limits, path = self.board, self._limits, self._path
        course, unvalidated = board.course, self.unvalidated
        clean = board.clean and not self._timed_out and not self._tail_lost
        size = self._restart_size(backoff, clean=clean or unvalidated)
        runs = board.proof()[: most_runs(size)]
        if self._timed_out and backoff > 1:  # perhaps the proof is at fault: none is always valid
            self._distrusted = True
        if self._distrusted:
            runs, clean = (), False
        proved = runs[-1][1] if runs else board.episode.base
        base = max(course.edge(proved), self.next_number, board.cursor)
        self.next_number = base + max(limits.initial_window, limits.idle_window)
        if self.next_number > self._last_base:
            raise ConnectionFailed("packet numbers used up")
        flags = RequestFlag.RESTART | (RequestFlag.CLEAN if clean else 0)
        window = course.window(proved)
        kept = max(1, min(window, limits.idle_window)) if clean else 2 if window > 2 else 1
        stop = base + (limits.initial_window if unvalidated else kept)  # as far as the client knows
        high, low = divmod(path.size_proof if size > path.datagram_bytes else 0, 1 << 32)
        return _new(Claim, (base, stop, high, low, runs, flags, size))

    def on_restart(self, request: InFlight) -> None:
        self.restarting, self._timed_out = request, False

    def _restart_size(self, backoff: int, *, clean: bool) -> int:
        """Return the next episode's datagram size: larger if a larger one is proved, the least if nothing passes."""
        path = self._path
        if self._timed_out and backoff > 2:
            path.on_larger_lost(self._limits.min_datagram_bytes)
            return path.proven_bytes
        return path.proven_bytes if clean and path.widens else path.datagram_bytes

    # snapshots

    def state(self, *, answered: bool) -> FlightState:
        """Return all that a restart needs; a clean one, if all is `answered` and nothing was lost."""
        assert self.transport is not None
        first, base = self.board.proof()[:1], self.transport.episode.base
        run = first[0] if first and first[0][0] == base and not self._distrusted else None
        clean = answered and self.board.clean and not self._timed_out and not self._tail_lost
        return FlightState(self.transport, self.next_number, run, clean and run is not None)

    def restore(self, state: FlightState) -> None:
        self._begin(state.frame, 0)
        if state.run is not None:
            self.board.restore(state.run)
        self.acknowledged = self.board.cursor
        self.floor = self.next_number = max(self.next_number, state.next_number)
        self.broken, self._tail_lost = True, not state.clean
