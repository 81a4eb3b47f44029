"""Requests in flight: which numbers each claimed, what it wanted, and when nothing more will come of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from trickles.ranges import Range
from trickles.wire.kinds import Address, RequestFlag

MOST_REPEATS_NAMED = 16  # request numbers by which the answers to one claim are known: its newest


@dataclass(slots=True, eq=False)
class SentRequest:
    """One request datagram: where it went, and what of the answers to it counted. Copies of these count for nothing."""

    replica: Address
    refused: bool = False
    worked_us: int = -1  # how long the service had been at work by the newest notice


@dataclass(slots=True, eq=False)
class Claim:
    """One request's expectations; `settled` is a bit mask over [start, stop) of numbers received, lost or void."""

    start: int
    stop: int
    lo: int
    hi: int
    replica: Address
    sent_at: int
    wants: tuple[Range, ...] = ()
    user: bytes = b""
    flags: int = 0
    input_offset: int = 0
    input: bytes = b""
    input_stop: int = 0
    datagram_bytes: int = 0
    blob: bytes = b""  # continuation and proof it was first sent with: a repeat claims the same numbers
    runs: tuple[tuple[int, int, int], ...] = ()
    settled: int = 0
    extends: bool = False  # wants what lies behind the continuation it goes with
    lost: bool = False  # some of its numbers were declared lost
    answered: bool = False
    moved_from: Address | None = None  # repeated to another replica, which has not answered yet
    refusals: int = 0
    doubted_at: int = -(1 << 62)  # when it was last moved because somebody unknown called its replica dead
    hints: int = 0  # that its replica lacks the epoch, by whoever
    refused_at: int | None = None  # when a replica first said that it lacks the content or the epoch
    retry_at: int | None = None
    sent_last: int = 0  # when it was last sent, resends included
    patience: int = 0  # the server said it is at work: no probe before this time
    ahead: int = 0  # packets outstanding at its replica when it was sent, its own included
    overtaken_at: int = 0  # when its replica first answered what it was asked later
    requests: dict[int, SentRequest] = field(default_factory=dict)  # by number, oldest first
    newest: int = 0  # number of the request that was sent last

    @property
    def carries_input(self) -> bool:
        """True when this request brings input (or its end)."""
        return bool(self.flags & RequestFlag.INPUT)

    @property
    def converts(self) -> bool:
        """True when the answer brings a continuation without which its data is worth nothing."""
        return self.extends or self.carries_input

    @property
    def done(self) -> bool:
        """True when every number of the claim is settled."""
        return self.settled == (1 << (self.stop - self.start)) - 1

    @property
    def open_packets(self) -> int:
        """Numbers of it that are not settled."""
        return self.stop - self.start - self.settled.bit_count()

    @property
    def gaping(self) -> bool:
        """True when a number is settled above one that is not."""
        return self.settled & (self.settled + 1) != 0

    def settle(self, start: int, stop: int) -> int:
        """Mark [start, stop) settled; returns how many of them were not before."""
        start, stop = max(start, self.start), min(stop, self.stop)
        if start >= stop:
            return 0
        bits = ((1 << (stop - start)) - 1) << (start - self.start)
        fresh = bits & ~self.settled
        self.settled |= bits
        return fresh.bit_count()

    def resize(self, stop: int) -> None:
        """The server granted up to `stop`, which differs from what was expected."""
        self.stop = stop
        self.settled &= (1 << (stop - self.start)) - 1


class Claims:
    """All claims in flight, oldest first; a request number's low half names its claim."""

    __slots__ = ("_by_request", "_claims")

    def __init__(self) -> None:
        self._by_request: dict[int, Claim] = {}
        self._claims: dict[Claim, None] = {}  # in the order of adding

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    @property
    def oldest(self) -> Claim | None:
        """The first of those in flight."""
        return next(iter(self._claims), None)

    def add(self, claim: Claim) -> None:
        """A new request is in flight."""
        self._claims[claim] = None

    def name(self, claim: Claim, request: int) -> None:
        """Request number `request` was sent for that claim, to the replica that it names."""
        claim.requests[request] = SentRequest(claim.replica)
        claim.newest = request
        self._by_request[request & 0xFFFF] = claim
        if len(claim.requests) > MOST_REPEATS_NAMED:
            oldest = next(iter(claim.requests))
            del claim.requests[oldest]
            if self._by_request.get(oldest & 0xFFFF) is claim:
                del self._by_request[oldest & 0xFFFF]

    def find(self, request: int, start: int = 0, stop: int = 1 << 62) -> Claim | None:
        """The claim in flight that packets [start, stop) answer, which name a request by the low half of its number.

        None for copies from before that half came round.
        """
        claim = self._by_request.get(request & 0xFFFF)
        return claim if claim is not None and start < claim.stop and claim.start < stop else None

    def sent(self, request: int, source: Address) -> tuple[Claim, SentRequest] | None:
        """The claim and the request of exactly that number, if it is in flight and went to `source`."""
        claim = self._by_request.get(request & 0xFFFF)
        found = claim.requests.get(request) if claim is not None else None
        return (claim, found) if claim is not None and found is not None and found.replica == source else None

    def remove(self, claim: Claim) -> None:
        """Nothing more is expected of that claim."""
        self._claims.pop(claim, None)
        for request in claim.requests:
            if self._by_request.get(request & 0xFFFF) is claim:
                del self._by_request[request & 0xFFFF]

    def settle(self, start: int, stop: int) -> list[Claim]:
        """Numbers [start, stop) are lost: the claims that are done by it."""
        done = []
        for claim in self._claims:
            if claim.start < stop and claim.stop > start:
                claim.lost = claim.settle(start, stop) > 0 or claim.lost
                if claim.done:
                    done.append(claim)
        return done

    def clear(self) -> list[Claim]:
        """Give up on all of them; returns them."""
        dropped, self._claims = list(self._claims), {}
        self._by_request.clear()
        return dropped
