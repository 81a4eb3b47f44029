"""What a cheating client holds, and the parts of requests that can be made of it.

Nothing is thrown away: every transport continuation, user continuation, packet and request stays at hand. Packets are
kept by the nonce key that they prove something under. A client cannot see that key, but it can tell keys apart: the
first restart of a connection begins a new one, which follows from the embryo that was shown.

What a client shows is chosen by small values (`Show`, `Place`, `Span`, `Wants`) whose meaning depends on what it holds,
so that each is possible at any time, and a list of actions stays one when actions are taken out of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, TypeVar

from tests.fuzz.cheats.meter import measured
from trickles.errors import BadPacket
from trickles.limits import DEFAULT_LIMITS
from trickles.ranges import Range
from trickles.tools.peer import Peer
from trickles.tools.received import Received
from trickles.trickle import Episode, course
from trickles.wire.kinds import Kind, RequestFlag, Suite
from trickles.wire.piece import parse_receipt_untrusted
from trickles.wire.refusal import parse_refusal_untrusted
from trickles.wire.request import RequestBody, Run
from trickles.wire.response import HEADER, TransportFrame, UserFrame, parse_frames_untrusted

Value = TypeVar("Value")
MOST_RUNS = DEFAULT_LIMITS.max_runs
MOST_WANTS = DEFAULT_LIMITS.max_wants
MOST_NUMBER = DEFAULT_LIMITS.max_number
SKIP = DEFAULT_LIMITS.max_restart_skip
REPEATED = 16  # a response flag: this packet proves nothing
_LAWFUL_CALLS = 2_000


class Show(IntEnum):
    """Which runs go into a proof, of those that can be proved under a continuation."""

    ALL = 0
    WHOLE = 1  # up to the first hole: what was lost is hidden
    ENDS = 2  # the first and the last
    LAST = 3
    ONE = 4  # the first number alone
    SINGLES = 5  # each number a run of its own
    SOME = 6  # the runs at the set bits of the pick
    NONE = 7
    FALSE = 8  # one nonce altered
    BELOW = 9  # so little that a restart may begin at a hole


class Place(IntEnum):
    """Where a restart puts its base, `skip` numbers from there."""

    BOUND = 0  # the least that is allowed
    ABOVE = 1  # above everything that was used
    SAME = 2  # where an earlier one was
    BELOW = 3  # below the least
    FAR = 4  # above the most that is allowed
    HOLE = 5  # at a number that was lost


class Span(IntEnum):
    """Which numbers a request speaks for, of those that its proof covers."""

    NEXT = 0  # those that no request under this continuation spoke for
    EVERYTHING = 1
    FIRST = 2
    LAST = 3
    LOW = 4  # the lower half
    HIGH = 5
    NOTHING = 6
    REPEAT = 7  # what an earlier one spoke for
    HOLE = 8  # what earns a number that was lost, and ends with it
    ONWARD = 9  # those that no request spoke for under any continuation
    FEW = 10  # the first of these


class Wants(IntEnum):
    """Which output is asked for."""

    MUCH = 0
    NONE = 1
    BYTE = 2
    CRUMBS = 3  # as many ranges as are allowed, a byte each, apart from each other
    PACKET = 4
    FAR = 5


def chosen(held: Sequence[Value], back: int) -> Value:
    """One of `held`, which is not empty, counted back from the newest, or with -1, -2... from the oldest on."""
    return held[-1 - back % len(held)]


class Held(NamedTuple):
    """A transport continuation, and the nonce key that its packets prove something under."""

    frame: TransportFrame
    family: int

    @property
    def episode(self) -> Episode:
        """The law's fields."""
        return self.frame.episode


class Sent(NamedTuple):
    """A request that was made: what it said and under which continuation."""

    body: RequestBody
    held: Held
    datagram: bytes


class Cheat:
    """One connection's client, with a memory for everything."""

    def __init__(self, suite: Suite = Suite.SEALED) -> None:
        self.voice = Peer("cheat", suite)
        self.held: list[Held] = []
        self.users: list[UserFrame] = []
        self.sent: list[Sent] = []
        self.bases: list[int] = []  # of restarts that were asked for
        self.top = 0  # one past the highest number that may be used
        self.receipts: dict[int, tuple[int, int]] = {}  # where a piece ends and what proves it, by where it begins
        self.sizes: dict[int, int] = {}  # proofs that datagrams of these sizes pass
        self._proofs = [Received()]
        self._families = {b"": 0}  # by the embryo that began each
        self._requests: dict[int, Sent] = {}
        self._spoken: dict[bytes, int] = {}  # up to where, by continuation
        self._onward: dict[int, int] = {}  # the same by nonce key
        self._reached = 0

    # what it holds

    def continuation(self, back: int) -> Held | None:
        """One of those held: 0 is the newest, -1 the oldest; None before the first."""
        return chosen(self.held, back) if self.held else None

    def user(self, back: int) -> bytes:
        """A user continuation, counted from the newest; none when there is none, or when asked for one too many."""
        return self.users[-1 - back].blob if back < len(self.users) else b""

    def provable(self, held: Held) -> list[Range]:
        """The runs that can be proved under that continuation."""
        return [(start, stop) for start, stop, _ in self._proofs[held.family].runs(held.episode.base)]

    def hole(self, held: Held, pick: int) -> int:
        """A number that was lost under that continuation; its base when none was."""
        runs, base = self.provable(held), held.episode.base
        holes = [stop for _, stop in runs[:-1]]
        if runs and runs[0][0] > base:
            holes.append(base)
        return chosen(holes, pick) if holes else base

    def _before(self, held: Held, number: int) -> int:
        """How far a lossless proof may go that earns nothing above `number`."""
        base, edge = held.episode.base, held.episode.edge
        return base + bisect_right(range(base, number), number, key=edge) - 1 if edge(base) <= number else base

    # the parts of a request

    def proof(self, held: Held, show: Show, pick: int) -> tuple[Run, ...]:
        """The runs that `show` chooses."""
        proofs = self._proofs[held.family]
        runs = [proofs.run(start, stop) for start, stop in self._chosen(held, show, pick)]
        if show is Show.FALSE and runs:
            start, stop, nonce = runs[pick % len(runs)]
            runs[pick % len(runs)] = start, stop, nonce ^ 1 << pick % 64
        return tuple(runs)

    def _chosen(self, held: Held, show: Show, pick: int) -> Sequence[Range]:
        runs, base = self.provable(held), held.episode.base
        if not runs or show is Show.NONE:
            return ()
        if show is Show.WHOLE:
            return runs[:1] if runs[0][0] == base else ()
        if show is Show.ENDS:
            return (runs[0], runs[-1]) if len(runs) > 1 else runs
        if show is Show.LAST:
            return runs[-1:]
        if show is Show.BELOW:
            stop = min(self._before(held, self.hole(held, pick)), runs[0][1])
            return ((base, stop),) if runs[0][0] == base < stop else ()
        if show is Show.ONE:
            return ((runs[0][0], runs[0][0] + 1),)
        if show is Show.SINGLES:
            numbers = [number for run in runs for number in range(*run)][: 2 * MOST_RUNS : 2]
            return [(number, number + 1) for number in numbers]
        if show is Show.SOME:
            return [run for at, run in enumerate(runs) if pick >> at % 16 & 1][:MOST_RUNS]
        return runs[: MOST_RUNS + (pick == 1)]

    def span(self, held: Held, runs: Sequence[Run], span: Span, pick: int) -> Range:
        """The numbers [lo, hi) that `span` chooses."""
        base = held.episode.base
        end = runs[-1][1] if runs else base
        spoken = (
            self._onward.get(held.family, base)
            if span in (Span.ONWARD, Span.FEW)
            else self._spoken.get(held.frame.blob, base)
        )
        lo = min(max(spoken, base), end)
        middle = (lo + end) // 2
        if span is Span.REPEAT:
            said = [sent.body for sent in self.sent if sent.held is held and sent.body.hi > sent.body.lo]
            return (chosen(said, pick).lo, chosen(said, pick).hi) if said else (base, end)
        if span is Span.HOLE:
            lo = min(self._before(held, self.hole(held, pick)), end)
            return lo, min(lo + 1, end)
        return {
            Span.NEXT: (lo, end),
            Span.ONWARD: (lo, end),
            Span.FEW: (lo, min(lo + MOST_WANTS // 2, end)),
            Span.EVERYTHING: (min(base, end), end),
            Span.FIRST: (base, min(base + 1, end)),
            Span.LAST: (max(end - 1, base), max(end, base)),
            Span.LOW: (lo, middle),
            Span.HIGH: (middle, end),
            Span.NOTHING: (end, end),
        }[span]

    def base(self, held: Held, runs: Sequence[Run], place: Place, skip: int, pick: int) -> int:
        """Where a restart begins."""
        bound = self.bound(held, runs)
        if place is Place.SAME and self.bases:
            return chosen(self.bases, pick)
        if place is Place.HOLE:
            return self.hole(held, pick)
        if place is Place.BELOW:
            return max(bound - 1 - skip, 0)
        if place is Place.FAR:
            return min(bound + SKIP + 1 + skip, MOST_NUMBER)
        if place is Place.ABOVE:
            return min(max(bound, self.top) + skip, max(bound + SKIP, 0))
        return min(bound + min(skip, SKIP), MOST_NUMBER)

    def bound(self, held: Held, runs: Sequence[Run]) -> int:
        """The least base of a restart with that proof, as far as the client can reckon it."""
        episode = held.episode
        if not runs or (len(runs) == 1 and runs[0][0] == episode.base):
            return episode.edge(runs[0][1] if runs else episode.base)
        ranges, end = [(start, stop) for start, stop, _ in runs], runs[-1][1]
        cost = measured(lambda: course(episode, ranges).edge(end), most_calls=_LAWFUL_CALLS, memory=False)
        return cost.result if cost.result is not None else end + 2 * episode.ssthresh % SKIP

    def size_proof(self, size: int, pick: int) -> int:
        """The proof that datagrams of that size pass; where none is held that of another size, or a false one."""
        return self.sizes.get(size) or (chosen(list(self.sizes.values()), pick) if self.sizes else pick)

    def wanted(self, wants: Wants, pick: int) -> tuple[Range, ...]:
        """The ranges that `wants` chooses."""
        at = self._reached
        self._reached += 1_200
        if wants is Wants.NONE:
            return ()
        if wants is Wants.BYTE:
            return ((at, at + 1),)
        if wants is Wants.CRUMBS:
            return tuple((at + 100 * each, at + 100 * each + 1) for each in range(MOST_WANTS))
        if wants is Wants.PACKET:
            return ((at, at + 1_000),)
        if wants is Wants.FAR:
            return (((1 << 61) + pick, (1 << 61) + pick + 5_000),)
        return ((at, at + (1 << 20)),)

    # what it says and hears

    def say(self, held: Held, body: RequestBody, kind: Kind = Kind.REQUEST) -> bytes:
        """Seal a request and remember it."""
        datagram = self.voice.request(body, blob=held.frame.blob, kind=kind)
        sent = self._requests[self.voice.number & 0xFFFF] = Sent(body, held, datagram)
        self.sent.append(sent)
        if body.flags & RequestFlag.RESTART:
            self.bases.append(body.restart_base)
            self.top = max(self.top, min(body.restart_base + DEFAULT_LIMITS.idle_window, MOST_NUMBER))
        elif body.hi > body.lo:
            self._spoken[held.frame.blob] = max(body.hi, self._spoken.get(held.frame.blob, 0))
            self._onward[held.family] = max(body.hi, self._onward.get(held.family, 0))
        return datagram

    def hear(self, datagram: bytes) -> None:
        """Remember what a datagram brings; all that is of use to a cheat is in clear."""
        kind = datagram[0]
        if kind == Kind.RESPONSE:
            self._hear_response(datagram)
        elif kind == Kind.REFUSAL:
            self._hear_refusal(datagram)
        elif kind == Kind.RECEIPT:
            receipt, _, _ = parse_receipt_untrusted(datagram)
            self.receipts[receipt.start] = receipt.stop, receipt.proof
        elif kind == Kind.PONG:
            self.sizes[len(datagram)] = int.from_bytes(datagram[16:24], "big")

    def _hear_response(self, datagram: bytes) -> None:
        _, flags, request, _, number, nonce, _ = HEADER.unpack_from(datagram)
        frames = parse_frames_untrusted(datagram, flags)
        sent = self._requests.get(request)
        family = self._family(sent, frames.transport)
        if frames.transport is not None and not any(frames.transport.blob == held.frame.blob for held in self.held):
            self.held.append(Held(frames.transport, family))
        if frames.user is not None and frames.user not in self.users:
            self.users.append(frames.user)
        self.top = max(self.top, number + 1)
        if not flags & REPEATED:
            self._proofs[family].add(number, nonce)

    def _hear_refusal(self, datagram: bytes) -> None:
        try:
            head = parse_refusal_untrusted(datagram)
        except BadPacket:
            return
        sent = self._requests.get(head.request & 0xFFFF)
        if head.transport is not None and sent is not None:
            self.held.append(Held(head.transport, sent.held.family))

    def _family(self, sent: Sent | None, fresh: TransportFrame | None) -> int:
        """Which nonce key the answers to that request were made under."""
        if sent is None:
            return 0  # a greeting
        old, restart = sent.held, sent.body.flags & RequestFlag.RESTART
        if not (restart and old.frame.embryo and old.episode.base == 0) or (fresh and fresh.embryo):
            return old.family
        key = old.frame.blob
        if key not in self._families:
            self._families[key] = len(self._proofs)
            self._proofs.append(Received())
        return self._families[key]
