"""One streamed response on this replica: its verified ranges, and the next one.

The body of a streamed response is unknown when it begins. So the output is covered range by range: each range has a
token with the source of the body (`Source`), the start of the range, and a digest of its bytes. A client never gets
bytes that no token covers, and shows the token when it asks for more; so any replica can check, before it sends a byte,
that it makes the same bytes. Invariants:

- Ranges join: each begins where the one before stopped, and its token is derived from that one's response.
- A range covers only bytes that are made here, and for steps only up to the end of one, where there is a cursor.
- `verify` has been called with a token before anything is sent under it. Tokens made here are verified by that.
- `more` of a continuation means that the body continues after its stop; the last range has none.

A token is offered before it is requested (`offers`), as a client that waits for the end of a range would lose a round
trip at each; offers are repeated every few replies, since a packet may be lost. One digest of the whole body
would not do: the client would have all of it before a difference showed.
"""

from __future__ import annotations

from typing import NamedTuple

from trickles.service import Continuation, Event, Reply
from trickleweb.bodies import MAX_CHECKPOINT_BYTES, Steps
from trickleweb.bodies.steps import packed_checkpoint
from trickleweb.plain import Plain
from trickleweb.server.errors import Evicted, NotThisResponse, StreamBroke, StreamFailed
from trickleweb.server.fixed import Chunk
from trickleweb.server.limits import DEFAULT_STREAM_LIMITS, StreamLimits
from trickleweb.server.offers import Offers
from trickleweb.server.producer import Producer
from trickleweb.server.tokens import encode
from trickleweb.server.tokens.ranges import Cursor, EventReplay, Framing, Replay, Source, VerifiedRange

_VERIFIED = 64


class Origins(NamedTuple):
    """The source of all ranges of a response: a request to run again, or steps."""

    replay: Replay | None = None  # a request to run again, or
    steps: Steps | None = None  # steps, with their arguments and the plan of the head
    args: dict[str, Plain] = {}  # noqa: RUF012 - never changed
    plan: bytes = b""
    events: Replay | None = None  # or the request of an event stream, to run again from an event on


class StreamedResponse:
    """A producer and its response. `head` is None where a replica resumes without it.

    Methods raise `Evicted` for bytes that were dropped: the response has to be made again.
    """

    def __init__(
        self,
        producer: Producer,
        origins: Origins,
        framing: Framing,
        head: bytes | None,
        limits: StreamLimits = DEFAULT_STREAM_LIMITS,
    ) -> None:
        self._limits = limits
        self.producer = producer
        self.framing = framing
        self.head = head
        self.resumed_from: VerifiedRange | None = None
        self.parked = 0  # requests waiting for it
        self.eager = False  # the last reply was less than its client wants: it asks again at once, or has left
        self._origins = origins
        self._verified: set[bytes] = set()
        self._offers = Offers(limits.ahead_bytes // 2)

    def is_final(self, covered: VerifiedRange) -> bool:
        """Return whether making the response of that range again would give the same result."""
        replay, found = self._origins.replay, self.resumed_from
        return found is not None and (found == covered if replay is None else replay == covered.source)

    # The first range

    def begin(self, event: Event, start: int, consumed: int) -> Reply:
        """Return the head and the bytes made so far, with their continuation; the response is at offset `start`."""
        body_at = start + self.framing.head_bytes
        stop = self._verifiable(0)
        known = self._continuation(start, 0, stop, consumed, body_at, first=True)
        return self._reply(event, start, body_at, stop, known, last=known)

    # Later ranges

    def verify(self, known: Continuation, covered: VerifiedRange) -> bool:
        """Return True once the bytes of that range are made; raise `NotThisResponse` if they differ here, or are fewer.

        Raise `StreamBroke` if the application failed before them, as it may not do another time.
        """
        producer, stop = self.producer, stop_of(known) - covered.body_at(known.start)
        if producer.closed:
            raise Evicted
        if known.state in self._verified:
            return True
        if self.framing != covered.framing:
            raise NotThisResponse("the response differs here")
        if producer.buffer.stop < stop:
            if producer.ended:
                raise NotThisResponse("the body ends earlier here")
            if isinstance(producer.failure, StreamFailed | NotThisResponse):
                raise producer.failure
            if producer.failure is not None:
                raise StreamBroke from producer.failure
            return False
        start = 0 if isinstance(covered.source, Replay) else covered.at
        if producer.buffer.digest(start, stop) != covered.digest:
            raise NotThisResponse("the body differs here")
        if len(self._verified) >= _VERIFIED:
            self._verified.clear()
        self._verified.add(known.state)
        return True

    def ready(self, event: Event, known: Continuation, covered: VerifiedRange) -> bool:
        """Return whether a reply can be made now: verified bytes, or news after them."""
        if not known.more or not event.wants or event.wants[0][0] < stop_of(known):
            return True
        at = stop_of(known) - covered.body_at(known.start)
        return self._verifiable(at) > at or self.producer.over

    def answer(self, event: Event, known: Continuation, covered: VerifiedRange) -> Reply:
        """Reply with the wanted verified bytes, and with the next range if it is wanted, or soon will be.

        Raise `StreamFailed` for bytes after the point where the application failed.
        """
        body_at = covered.body_at(known.start)
        asked = max((stop for _, stop in event.wants), default=0)
        self.producer.want(min(asked, stop_of(known)) - body_at)
        extends = bool(event.wants) and event.wants[0][0] >= stop_of(known)
        following = None
        if known.more and (extends or self._offers.is_due(asked, stop_of(known))):
            following = self._following(known, body_at, extends=extends)
        stop = stop_of(following) if extends and following is not None else stop_of(known)
        return self._reply(event, known.start, body_at, stop - body_at, following, last=following or known)

    def _following(self, known: Continuation, body_at: int, *, extends: bool) -> Continuation | None:
        """Return the continuation of the next range; an empty last one only if it is requested.

        Offered earlier, it could leave a client without the end, whose packet may be lost, and with nothing to request.
        """
        at = stop_of(known) - body_at
        stop = self._verifiable(at)
        if stop > at or (extends and self.producer.ended):
            return self._continuation(stop_of(known), at, stop, known.consumed, body_at, first=False)
        if extends:
            raise StreamFailed from self.producer.failure
        return None

    def _verifiable(self, at: int) -> int:
        """Return the end of the longest range from `at` on: all bytes made, for steps up to the end of one."""
        producer = self.producer
        limit = min(at + self._limits.ahead_bytes, producer.fence_after(at))
        if self._origins.replay is not None:
            return min(producer.buffer.stop, limit)
        if producer.ended and producer.buffer.stop <= limit:
            return producer.buffer.stop
        stop, _ = producer.cursor(limit)
        return stop if stop > at else producer.stepped_to

    def _continuation(
        self, start: int, at: int, stop: int, consumed: int, body_at: int, *, first: bool
    ) -> Continuation:
        """Return the continuation for body bytes [at, stop), and for the head before them if `first`."""
        buffer = self.producer.buffer
        source = self._source(at, first=first)
        digest = buffer.digest(0 if isinstance(source, Replay) else at, stop)
        state = encode(VerifiedRange(self.framing, at, digest, source, first))
        self._verified.add(state)
        more = not (self.producer.ended and stop == buffer.stop)
        return Continuation(state, start, body_at + stop, consumed, more)

    def _source(self, at: int, *, first: bool) -> Source:
        replay, steps, args, plan, events = self._origins
        if replay is not None:
            return replay
        stepped, cursor = self.producer.cursor(at)
        if stepped != at:
            raise NotThisResponse("the steps end elsewhere here")
        if events is not None:
            return EventReplay(events, cursor)
        assert steps is not None
        return Cursor(plan if first else b"", packed_checkpoint(steps, cursor, args, MAX_CHECKPOINT_BYTES))

    def _reply(
        self,
        event: Event,
        start: int,
        body_at: int,
        stop: int,
        following: Continuation | None,
        *,
        last: Continuation,
    ) -> Reply:
        """Return the wanted chunks of the output up to body byte `stop`; `last` is the client's latest continuation."""
        self.eager = max([end for _, end in event.wants], default=0) > body_at + stop
        chunks: list[Chunk] = []
        budget = event.budget
        for low, high in event.wants:
            low = max(low, start)
            high = min(high, body_at + stop, low + budget)
            if low < high:
                budget -= high - low
                chunks += self._cut(low, high, body_at)
        end = stop_of(last) if self.framing.last and not last.more else None
        return Reply(tuple(chunks), following, end)

    def _cut(self, low: int, high: int, body_at: int) -> list[Chunk]:
        found: list[Chunk] = []
        if low < body_at:
            if self.head is None:
                raise NotThisResponse("the head is not known here")
            head_at = body_at - self.framing.head_bytes
            found.append((low, self.head[low - head_at : high - head_at]))
            low = min(body_at, high)
        for part in self.producer.buffer.parts(low - body_at, high - body_at) if low < high else ():
            found.append((low, part))
            low += len(part)
        return found


def stop_of(known: Continuation) -> int:
    """Return the end of the output that a continuation covers; all of this server's have one."""
    if known.stop is None:
        raise NotThisResponse("a continuation of an unknown kind")
    return known.stop
