"""Requests in flight: the numbers that each claims, its wants and input, and the state of its answer.

A request is a small state machine, which only its own methods change; TRANSITIONS is the whole of it:

    UNSENT --send--> SENT --answer--> ANSWERED          an honest network
      ^                |                  |
      |<----retry------+                  +--retry--> PARTIAL --send--> ANSWERED
      +--answer--> PARTIAL                            (asks only for what its answer still lacks)

and each of them may end in OVER. A request is retried when a replica refused it, died, or stayed silent: each time
under a new request number, perhaps at another replica, always for the same packet numbers with the same proof. Only
the first copy that a replica answers earns anything, so a retry may be sent on mere suspicion.

Facts accumulate besides the state: `settled` is a bit mask over [start, stop) of packet numbers received, lost or void;
`lost` says that some were declared lost; `moved_from` is a replica that was silent when the request was sent to another
one, and is dead when that one answers.

`SentDatagram` remembers each datagram, for answers name the one they belong to and copies of an answer must not count.
Of the datagrams of one request the newest MOST_REPEATS_NAMED are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, auto

from trickles.ranges import Range
from trickles.wire.kinds import Address
from trickles.wire.request import Run

MOST_REPEATS_NAMED = 16  # datagrams of one request whose answers are recognised: the newest
_LONG_AGO = -(1 << 62)


class State(IntEnum):
    """States of a request."""

    UNSENT = auto()  # to be sent, perhaps again; without an answer so far
    SENT = auto()
    ANSWERED = auto()  # under way, with a part of its answer
    PARTIAL = auto()  # to be sent again, for the missing part of its answer
    OVER = auto()  # closed


class Signal(IntEnum):
    """Events of a request."""

    SEND = auto()
    ANSWER = auto()
    RETRY = auto()
    END = auto()


TRANSITIONS: dict[tuple[State, Signal], State] = {
    (State.UNSENT, Signal.SEND): State.SENT,
    (State.UNSENT, Signal.ANSWER): State.PARTIAL,
    (State.UNSENT, Signal.RETRY): State.UNSENT,
    (State.UNSENT, Signal.END): State.OVER,
    (State.SENT, Signal.ANSWER): State.ANSWERED,
    (State.SENT, Signal.RETRY): State.UNSENT,
    (State.SENT, Signal.END): State.OVER,
    (State.ANSWERED, Signal.ANSWER): State.ANSWERED,
    (State.ANSWERED, Signal.RETRY): State.PARTIAL,
    (State.ANSWERED, Signal.END): State.OVER,
    (State.PARTIAL, Signal.SEND): State.ANSWERED,
    (State.PARTIAL, Signal.ANSWER): State.PARTIAL,
    (State.PARTIAL, Signal.RETRY): State.PARTIAL,
    (State.PARTIAL, Signal.END): State.OVER,
    (State.OVER, Signal.END): State.OVER,
}


_UNSENT, _, _ANSWERED, _PARTIAL, _ = State  # local names are faster
_ON_SEND, _ON_ANSWER, _ON_RETRY, _ON_END = (  # by signal: faster to look up
    {state: after for (state, signal), after in TRANSITIONS.items() if signal is each} for each in Signal
)


@dataclass(slots=True, eq=False)
class SentDatagram:
    """One datagram of a request: its replica, and the answers to it that counted."""

    replica: Address
    flow: int = 0
    refused: bool = False
    worked_us: int = -1  # the longest duration in a notice

    def on_refused(self) -> None:
        """Note its refusal; another one is a copy."""
        self.refused = True

    def on_notice(self, worked_us: int) -> bool:
        """Take a notice that work goes on; return False for a copy of an older one."""
        newer = worked_us > self.worked_us
        self.worked_us = max(worked_us, self.worked_us)
        return newer


@dataclass(slots=True, eq=False)
class InFlight:
    """A request in flight; fields from `start` to `ahead` are constant, but a restart may be granted fewer numbers."""

    start: int
    stop: int
    lo: int
    hi: int
    replica: Address
    sent_at: int  # from when silence counts
    wants: tuple[Range, ...] = ()
    user: bytes = b""
    flags: int = 0
    input_offset: int = 0
    input: bytes = b""
    input_stop: int = 0
    datagram_bytes: int = 0
    blob: bytes = b""  # continuation and proof of the first sending: a repeat claims the same numbers
    runs: tuple[Run, ...] = ()
    extends: bool = False  # wants output above the range of its continuation
    ahead: int = 0  # packets outstanding at its replica when it was sent, its own included
    patience: int = 0  # no probe before this time, since the server reported to be at work
    incarnation: int = 0  # of its replica that reports to be at work on it; 0: none does
    watched: bool = False  # some replica was at work on it
    subject: bytes = b""  # of the news that it waits for
    state: State = _UNSENT
    settled: int = 0
    lost: bool = False  # some of its numbers were declared lost
    moved_from: Address | None = None  # repeated to another replica, which has not answered yet
    refusals: int = 0
    refused_at: int | None = None  # when a replica first lacked the content or the epoch
    hints: int = 0  # unauthenticated, that its replica lacks the epoch
    doubted_at: int = _LONG_AGO  # when an unauthenticated sign of death last moved it
    retry_at: int | None = None
    sent_last: int = 0  # when it was last sent, resends included
    overtaken_at: int = 0  # when its replica first answered a later request
    datagrams: dict[int, SentDatagram] = field(default_factory=dict)  # by request number, oldest first
    newest: int = 0  # number of the datagram that was sent last

    @property
    def answered(self) -> bool:
        return self.state is _ANSWERED or self.state is _PARTIAL

    @property
    def carries_input(self) -> bool:
        return self.flags & 8 != 0  # RequestFlag.INPUT, as a number: this line is hot

    @property
    def converts(self) -> bool:
        """True when the answer brings a continuation that its data depends on."""
        return self.extends or self.flags & 8 != 0  # likewise

    @property
    def done(self) -> bool:
        return self.settled == (1 << (self.stop - self.start)) - 1

    @property
    def open_packets(self) -> int:
        return self.stop - self.start - self.settled.bit_count()

    def waits_at(self, replica: Address) -> bool:
        """Return whether that replica is at work on it."""
        return self.incarnation != 0 and self.replica == replica

    @property
    def gaping(self) -> bool:
        """True when a number is settled above one that is not."""
        return self.settled & (self.settled + 1) != 0

    @property
    def flow(self) -> int:
        """The flow of the newest datagram."""
        return self.datagrams[self.newest].flow

    def flow_of(self, low_half: int) -> int | None:
        """Return the flow of the datagram with that low half of its number, None if it is not known."""
        return next((sent.flow for number, sent in self.datagrams.items() if number & 0xFFFF == low_half), None)

    def on_sent(self, number: int, now: int, flow: int = 0) -> None:
        self.state = _ON_SEND[self.state]
        self.datagrams[number] = SentDatagram(self.replica, flow)
        self.newest, self.sent_last, self.retry_at = number, now, None

    def forget_oldest(self) -> int:
        oldest = next(iter(self.datagrams))
        del self.datagrams[oldest]
        return oldest

    def on_answered(self, *, newest: bool) -> Address | None:
        """Note a part of the answer, perhaps to the `newest` datagram; return the replica that it proves dead."""
        self.state, self.incarnation, self.patience = _ON_ANSWER[self.state], 0, 0
        if not newest:
            return None
        silent, self.moved_from = self.moved_from, None
        return silent

    def retry(self, at: int, replica: Address | None = None, *, silence_from: int | None = None) -> None:
        """Send it again at that time, to `replica` or the same one; silence counts from `silence_from` if given."""
        self.state = _ON_RETRY[self.state]
        self.retry_at, self.incarnation = at, 0
        self.replica = replica or self.replica
        self.sent_at = self.sent_at if silence_from is None else silence_from

    def probe(self, other: Address, now: int) -> None:
        """Send it to `other`, whose answer will prove the silent replica dead."""
        if other != self.replica:
            self.moved_from = self.moved_from or self.replica
        self.retry(now, other)

    def on_doubted(self, now: int) -> None:
        self.doubted_at = now

    def on_hint(self) -> None:
        self.hints += 1

    def on_refused(self, now: int, *, elsewhere: bool = False) -> None:
        """Note a refusal; `elsewhere`: another replica may have the missing content or epoch."""
        self.refusals += 1
        if elsewhere and self.refused_at is None:
            self.refused_at = now

    def be_patient(self, until: int) -> None:
        self.patience = until

    def on_at_work(self, incarnation: int, until: int) -> None:
        """Note that its replica is at work on it: no probe until then."""
        self.incarnation, self.patience, self.watched = incarnation, until, True

    def on_subject(self, subject: bytes) -> None:
        self.subject = subject

    def on_lost(self) -> None:
        self.lost = True

    def on_overtaken(self, now: int) -> None:
        self.overtaken_at = now

    def settle(self, start: int, stop: int) -> int:
        """Mark [start, stop) settled; return how many of them were not before."""
        first, last, settled = self.start, self.stop, self.settled
        if start < first:
            start = first
        if stop > last:
            stop = last
        if start >= stop:
            return 0
        bits = ((1 << (stop - start)) - 1) << (start - first)
        self.settled = settled | bits
        return (bits & ~settled).bit_count()

    def resize(self, stop: int) -> None:
        self.stop = stop
        self.settled &= (1 << (stop - self.start)) - 1

    def end(self) -> None:
        self.state, self.incarnation = _ON_END[self.state], 0


class Requests:
    """The requests in flight, oldest first; the low half of a request number names one."""

    __slots__ = ("_by_number", "_requests")

    def __init__(self) -> None:
        self._by_number: dict[int, InFlight] = {}
        self._requests: dict[InFlight, None] = {}  # in the order of adding

    def __iter__(self) -> Iterator[InFlight]:
        return iter(self._requests)

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def oldest(self) -> InFlight | None:
        return next(iter(self._requests), None)

    def add(self, request: InFlight) -> None:
        self._requests[request] = None

    def sent(self, request: InFlight, number: int, now: int, flow: int = 0) -> None:
        request.on_sent(number, now, flow)
        self._by_number[number & 0xFFFF] = request
        if len(request.datagrams) > MOST_REPEATS_NAMED:
            oldest = request.forget_oldest() & 0xFFFF
            if self._by_number.get(oldest) is request:
                del self._by_number[oldest]

    def find(self, number: int, start: int = 0, stop: int = 1 << 62) -> InFlight | None:
        """Return the request whose number's low half packets [start, stop) name, None for copies from before a wrap."""
        request = self._by_number.get(number & 0xFFFF)
        return request if request is not None and start < request.stop and request.start < stop else None

    def exactly(self, number: int, source: Address) -> tuple[InFlight, SentDatagram] | None:
        """Return the request and its datagram of exactly that number, if in flight and sent to `source`."""
        request = self._by_number.get(number & 0xFFFF)
        found = request.datagrams.get(number) if request is not None else None
        return (request, found) if request is not None and found is not None and found.replica == source else None

    def remove(self, request: InFlight) -> None:
        request.end()
        self._requests.pop(request, None)
        for number in request.datagrams:
            if self._by_number.get(number & 0xFFFF) is request:
                del self._by_number[number & 0xFFFF]

    def lose(self, start: int, stop: int) -> list[InFlight]:
        """Mark the numbers [start, stop) as lost; return the requests that are done by it."""
        done = []
        for request in self._requests:
            if request.start < stop and request.stop > start:
                if request.settle(start, stop):
                    request.on_lost()
                if request.done:
                    done.append(request)
        return done
