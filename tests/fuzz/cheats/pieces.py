"""What a cheating client may do with the spool: pieces and islands of any size, and commits of any of them in turn."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fuzz.cheats.actions import SMALL, Stage
from tests.fuzz.cheats.peer import Show, Span
from trickles.wire.kinds import RequestFlag
from trickles.wire.piece import commit_body
from trickles.wire.request import RequestBody

COMMIT = RequestFlag.INPUT | RequestFlag.COMMIT


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of one size from `at` on, each `apart` bytes behind the one before; within another they may overlap."""

    at: int = 0
    count: int = 1
    size: int = 1
    apart: int = 1
    replica: int = 0
    held: int = 0

    def do(self, stage: Stage) -> None:
        """Send them."""
        for number in range(self.count):
            held = stage.cheat.continuation(self.held)
            if held is None:
                return
            offset = self.at + number * self.apart
            stage.send(self.replica, stage.cheat.voice.piece(offset, bytes(self.size), blob=held.frame.blob))


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of what receipts prove from one of them on, of so many at most; `within` bytes of it are left out."""

    first: int = 0
    most: int = 1 << 30
    within: int = 0
    replica: int = 0
    held: int = 0
    pick: int = 0

    def do(self, stage: Stage) -> None:
        """Send it, speaking for what an honest request would."""
        cheat = stage.cheat
        held, receipts = cheat.continuation(self.held), cheat.receipts
        if held is None or not receipts:
            return
        origin = stop = sorted(receipts)[self.first % len(receipts)]
        proof = count = 0
        while stop in receipts and count < self.most:
            stop, each = receipts[stop]
            proof, count = proof ^ each, count + 1
        runs = cheat.proof(held, Show.ALL, self.pick)
        lo, hi = cheat.span(held, runs, Span.NEXT, self.pick)
        start = min(origin + self.within, stop)
        body = RequestBody(COMMIT, SMALL, lo, hi, 0, runs, ((0, 1_000),), b"", start, commit_body(origin, stop, proof))
        stage.send(self.replica, cheat.say(held, body))
