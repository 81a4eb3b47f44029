"""One streamed response on this replica: which bytes a stretch vouches for, and what the next one is."""

from __future__ import annotations

from typing import NamedTuple

from trickles.service import Event, Reply
from trickleweb.bodies import MAX_CHECKPOINT_BYTES, Checkpoint, Steps
from trickleweb.bodies.steps import Stepped
from trickleweb.origin.program.bounds import MOST_AHEAD_BYTES
from trickleweb.origin.program.known import Known
from trickleweb.origin.program.production import Production
from trickleweb.origin.program.stretch import Again, Cursor, Framing, Stretch, Way, fitting
from trickleweb.origin.program.tape import TapeCut
from trickleweb.origin.response import Chunk, NotThisResponse
from trickleweb.plain import Plain

OFFER_AGAIN = 8  # replies later: an offer takes room from data, and is seldom lost
_VERIFIED = 64


class StreamFailed(Exception):
    """The program's stream broke off: what was vouched for is all there is."""


class StreamBroke(Exception):
    """The program's stream broke off here before it gave what another replica was given."""


class Origins(NamedTuple):
    """What the stretches of a response derive from: how to make it anew."""

    again: Again | None  # a request to run again, or
    steps: Steps | None  # steps, with their arguments and the plan of the head
    args: dict[str, Plain]
    plan: bytes


class Live:
    """A production and the response it belongs to. `head` is None where a replica goes on without it.

    Its methods raise `TapeCut` for what is not kept any more: another one is to be made.
    """

    def __init__(self, production: Production, origins: Origins, framing: Framing, head: bytes | None) -> None:
        self.production = production
        self.framing = framing
        self.head = head
        self.revived_from: Stretch | None = None
        self.parked = 0  # requests that wait for it
        self._origins = origins
        self._verified: set[bytes] = set()
        self._offered_at = -1  # the stop behind which the last offer lay
        self._since_offer = 0

    def is_last_word(self, stretch: Stretch) -> bool:
        """Whether making that stretch's response anew would give nothing else."""
        again, found = self._origins.again, self.revived_from
        return found is not None and (found == stretch if again is None else again == stretch.way)

    # the first stretch

    def begin(self, event: Event, start: int, consumed: int) -> Reply:
        """The head and what is made by now, with the continuation for both; the response is at offset `start`."""
        body_at = start + self.framing.head_bytes
        stop = self._vouchable(0)
        known = self._continuation(start, 0, stop, consumed, body_at, first=True)
        return self._reply(event, start, body_at, stop, known, last=known)

    # from then on

    def verify(self, known: Known, stretch: Stretch) -> bool:
        """Whether what that stretch vouches for is made; `NotThisResponse` if other bytes are made here, or fewer.

        `StreamBroke` if the program failed before it came so far, which it may not do another time.
        """
        production, stop = self.production, known.stop - stretch.body_at(known.start)
        if production.closed:
            raise TapeCut
        if known.state in self._verified:
            return True
        if self.framing != stretch.framing:
            raise NotThisResponse("the response is another one here")
        if production.tape.stop < stop:
            if production.ended:
                raise NotThisResponse("the body ends earlier here")
            if production.failure is not None:
                raise StreamBroke from production.failure
            return False
        start = 0 if isinstance(stretch.way, Again) else stretch.at
        if production.tape.digest(start, stop) != stretch.digest:
            raise NotThisResponse("the body is another one here")
        if len(self._verified) >= _VERIFIED:
            self._verified.clear()
        self._verified.add(known.state)
        return True

    def ready(self, event: Event, known: Known, stretch: Stretch) -> bool:
        """Whether there is something to answer with now: what is vouched for already, or news behind it."""
        if not known.more or not event.wants or event.wants[0][0] < known.stop:
            return True
        at = known.stop - stretch.body_at(known.start)
        return self._vouchable(at) > at or self.production.over

    def answer(self, event: Event, known: Known, stretch: Stretch) -> Reply:
        """What is wanted, as far as it is vouched for; with the next stretch if it is wanted too, or soon will be.

        `StreamFailed` when what is wanted lies behind the point where the program failed.
        """
        body_at = stretch.body_at(known.start)
        asked = max((stop for _, stop in event.wants), default=0)
        self.production.want(min(asked, known.stop) - body_at)
        extends = bool(event.wants) and event.wants[0][0] >= known.stop
        following = None
        if known.more and (extends or self._offers(asked, known.stop)):
            following = self._following(known, body_at, extends=extends)
        stop = following.stop if extends and following is not None else known.stop
        return self._reply(event, known.start, body_at, stop - body_at, following, last=following or known)

    def _following(self, known: Known, body_at: int, *, extends: bool) -> Known | None:
        at = known.stop - body_at
        stop = self._vouchable(at)
        if stop > at or self.production.ended:
            return self._continuation(known.stop, at, stop, known.consumed, body_at, first=False)
        if extends:
            raise StreamFailed from self.production.failure
        return None

    def _offers(self, asked: int, stop: int) -> bool:
        """Whether it is time to offer the stretch behind `stop`, before anybody asks for it."""
        if asked < stop - MOST_AHEAD_BYTES // 2:
            return False
        self._since_offer += 1
        if self._offered_at == stop and self._since_offer < OFFER_AGAIN:
            return False
        self._offered_at, self._since_offer = stop, 0
        return True

    def _vouchable(self, at: int) -> int:
        """How far a stretch from `at` on can go: to what is made, and for steps to the end of one."""
        production = self.production
        limit = at + MOST_AHEAD_BYTES
        if self._origins.again is not None:
            return min(production.tape.stop, limit)
        if production.ended and production.tape.stop <= limit:
            return production.tape.stop
        stop, _ = production.cursor(limit)
        return stop if stop > at else production.stepped_to

    def _continuation(self, start: int, at: int, stop: int, consumed: int, body_at: int, *, first: bool) -> Known:
        """The continuation for body bytes [at, stop), and for the head before them if `first`."""
        tape = self.production.tape
        way = self._way(at, first=first)
        digest = tape.digest(0 if isinstance(way, Again) else at, stop)
        state = fitting(Stretch(self.framing, at, digest, way, first).encode())
        self._verified.add(state)
        more = not (self.production.ended and stop == tape.stop)
        return Known(state, start, body_at + stop, consumed, more)

    def _way(self, at: int, *, first: bool) -> Way:
        again, steps, args, plan = self._origins
        if again is not None:
            return again
        assert steps is not None
        stepped, cursor = self.production.cursor(at)
        if stepped != at:
            raise NotThisResponse("the steps have other ends here")
        return Cursor(plan if first else b"", Checkpoint(Stepped(steps, cursor, args)).pack(MAX_CHECKPOINT_BYTES))

    def _reply(
        self,
        event: Event,
        start: int,
        body_at: int,
        stop: int,
        following: Known | None,
        *,
        last: Known,
    ) -> Reply:
        """Chunks of what is wanted of the output up to body byte `stop`; `last` is what the client knows then."""
        chunks: list[Chunk] = []
        budget = event.budget
        for low, high in event.wants:
            low = max(low, start)
            high = min(high, body_at + stop, low + budget)
            if low < high:
                budget -= high - low
                chunks += self._cut(low, high, body_at)
        end = last.stop if self.framing.last and not last.more else None
        return Reply(tuple(chunks), following and following.continuation, end)

    def _cut(self, low: int, high: int, body_at: int) -> list[Chunk]:
        found: list[Chunk] = []
        if low < body_at:
            if self.head is None:
                raise NotThisResponse("the head is not known here")
            head_at = body_at - self.framing.head_bytes
            found.append((low, self.head[low - head_at : high - head_at]))
            low = min(body_at, high)
        for part in self.production.tape.parts(low - body_at, high - body_at) if low < high else ():
            found.append((low, part))
            low += len(part)
        return found
