"""The HTTP/1.1 server: an event in, a reply out, nothing kept between the two but what can be lost.

Each complete request at the beginning of the input becomes a response with a state of its own; from then on any
replica answers any wanted range of that response from the state alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from trickles.errors import InputLost
from trickles.service import Continuation, Event, Refusal, Reply
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere, FilesUnavailable, HashPending
from trickleweb.limits import Limits
from trickleweb.messages import Length, Request
from trickleweb.origin.answered import Answered, Observe
from trickleweb.origin.given import NOT_WHOLE, Given, Unfinished, given_by, lost, read_head_untrusted, taken_by
from trickleweb.origin.planning import Made, Planner
from trickleweb.origin.ports import Contents, Site
from trickleweb.origin.repeats import FORGETFUL, Repeats
from trickleweb.origin.response import Chunk, NotThisResponse
from trickleweb.origin.state import goes_on

READ_ONLY = Limits(max_body_bytes=65_536)  # a body that nobody wants is read and dropped, to keep the connection
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_TRIES = 3  # at a file that is replaced while its response begins


class Turn(NamedTuple):
    """What the input led to: a response, and the input offset behind its request."""

    made: Made
    consumed: int


class Origin:
    """A `trickles` service that serves a site; `statuses` counts the responses it began, those of repeats too.

    `repeats` is for sites that answer equal requests alike, as long as nothing changes. `observe` is called when a
    response begins, with times of `clock_us`.
    """

    def __init__(
        self,
        site: Site,
        contents: Contents,
        *,
        now_s: Callable[[], int],
        limits: Limits = READ_ONLY,
        repeats: Repeats = FORGETFUL,
        observe: Observe | None = None,
        clock_us: Callable[[], int] | None = None,
    ) -> None:
        self._observe = observe
        self._clock_us = clock_us or (lambda: now_s() * 1_000_000)
        self._began_us = 0  # of the event at hand, if it is observed
        self.statuses: Counter[int] = Counter()
        self._repeats = repeats
        self._planner = Planner(site, now_s, contents.strong_name)
        self._unfinished = Unfinished(now_s)
        self._read = contents.read
        self._limits = limits

    def report_errors(self, callback: Callable[[Exception], None]) -> None:
        """Tell what the site should not have raised, or cannot be sent; the client gets a 500 either way."""
        self._planner.on_error = callback

    def drop_caches(self) -> None:
        """Forget all that only makes things faster."""
        self._planner.drop_caches()
        self._repeats.clear()

    def handle(self, event: Event) -> Reply:
        """Answer one event; never raises for what a client sends or a disk does."""
        if self._observe is not None:
            self._began_us = self._clock_us()
        try:
            return self._repeated(event) or self._answer(event)
        except HashPending:  # before its address is proved a client can be told nothing: it comes again afterwards
            return Reply() if event.early else Reply(refusal=Refusal.BUSY)
        except InputLost:
            return Reply(refusal=Refusal.INPUT_LOST)
        except (ContentNotHere, FilesUnavailable, NotThisResponse, OSError):
            return Reply(refusal=Refusal.NOT_HERE)

    def _repeated(self, event: Event) -> Reply | None:
        """What `_answer` says to a request that stands alone and was answered a moment ago, in half the time."""
        known, start, consumed = event.continuation, 0, 0
        if known is not None:
            if known.stop is None or (event.wants and event.wants[0][0] < known.stop) or not goes_on(known.state):
                return None
            start, consumed = known.stop, known.consumed
        if consumed != event.input_offset or event.input_end or event.spooled is not None or event.input_lost:
            return None
        made = self._repeats.recall(event.input)
        if made is None:
            return None
        response, state = made.response, made.state
        try:
            chunks = tuple(response.chunks(start, event.wants, event.budget, self._read))
        except (ContentNotHere, FilesUnavailable):
            return None
        self._count(made, event)
        return Reply(chunks, Continuation(state, start, start + response.size_bytes, consumed + len(event.input)))

    def _answer(self, event: Event) -> Reply:
        known = event.continuation
        if known is None:
            return self._go_on(event, 0, 0, ())
        response = self._planner.resumed(known.state)
        chunks = tuple(response.chunks(known.start, event.wants, event.budget, self._read))
        stop = known.start + response.size_bytes
        if response.last or not (event.input or event.input_end or event.spooled or event.input_lost):
            fresh = self._planner.firmer(known.state, response)
            renewed = None if fresh is None else known._replace(state=fresh)
            return Reply(chunks, renewed, stop if response.last else None)
        return self._go_on(event, stop, known.consumed, chunks)

    def _go_on(self, event: Event, start: int, consumed: int, chunks: tuple[Chunk, ...]) -> Reply:
        """Begin the next response at output offset `start`, if there is a request for it."""
        if event.input_lost:
            refused = self._planner.made_last(self._planner.refusal(lost(NOT_WHOLE)), has_body=True)
            return self._begun(event, Turn(refused, event.input_stop), start, chunks)
        given = given_by(event, consumed)
        made = self._repeats.find(given)
        for _ in range(_TRIES):
            try:
                turn = Turn(made, consumed + given.size_bytes) if made else self._turn(event, given, consumed)
                if turn is None:
                    return Reply(chunks, end=start if given.ended and given.is_nothing else None)
                return self._begun(event, turn, start, chunks)
            except ContentNotHere:  # replaced since it was planned from: nothing of it was sent yet
                made = None
            except FilesUnavailable as error:
                return self._begun(event, Turn(self._planner.unreadable(error), event.input_stop), start, chunks)
        return Reply(refusal=Refusal.BUSY)

    def _begun(self, event: Event, turn: Turn, start: int, chunks: tuple[Chunk, ...]) -> Reply:
        response, state = turn.made.response, turn.made.state
        budget = event.budget - sum(len(data) for _, data in chunks)
        found = response.chunks(start, event.wants, budget, self._read)
        self._count(turn.made, event)
        stop = start + response.size_bytes
        consumed = event.input_stop if response.last else turn.consumed
        return Reply((*chunks, *found), Continuation(state, start, stop, consumed), stop if response.last else None)

    def _count(self, made: Made, event: Event) -> None:
        self.statuses[made.status] += 1
        if self._observe is not None:
            self._tell(self._observe, made, event)

    def _tell(self, observe: Observe, made: Made, event: Event) -> None:
        began = self._began_us
        took = max(self._clock_us() - began, 0)
        answered = Answered(
            head=made.head, peer=event.peer, status=made.status, body_bytes=made.body_bytes, began_us=began,
            took_us=took, resumed=False,
        )  # fmt: skip
        try:
            observe(answered)
        except Exception as error:  # noqa: BLE001 - a log that cannot be written is no reason to fail a request
            self._planner.on_error(error)

    def _turn(self, event: Event, given: Given, consumed: int) -> Turn | None:
        """What the input leads to; None while it is not a whole request, or is one that may not run early."""
        try:
            request = read_head_untrusted(given, self._limits)
            if request is None:
                self._unfinished.check(given, (event.connection, consumed))
                return None
            if event.early and request.method not in SAFE_METHODS:
                return None
            return self._requested(event, request, given, consumed)
        except HTTPError as error:
            has_body = not given.first.lstrip(b"\r\n").startswith(b"HEAD ")
            return Turn(self._planner.made_last(self._planner.refusal(error), has_body=has_body), event.input_stop)

    def _requested(self, event: Event, request: Request, given: Given, consumed: int) -> Turn | None:
        """The response to a request; None while it is worth waiting for the rest of its body."""
        asked_ns = self._repeats.now_ns()
        plan = self._planner.plan(request)
        refused = plan.status >= 400
        try:
            taken = taken_by(request, given, self._limits)
            if taken is None and not refused and not request.expect_continue:
                self._unfinished.check(given, (event.connection, consumed))
                _check_length(request, self._limits)
                return None
        except HTTPError:
            if not refused:
                raise
            taken = None
        close = taken is None or (given.ended and taken == given.size_bytes)
        made = self._planner.made(plan, request, close=close)
        if self._observe is not None:
            made = made._replace(head=request)
        if taken == given.size_bytes and not made.response.last:
            made = self._repeats.note(given, asked_ns, made, self._read)
        return Turn(made, consumed + (taken or 0))


def _check_length(request: Request, limits: Limits) -> None:
    if isinstance(request.framing, Length) and request.framing.byte_count > limits.max_body_bytes:
        raise HTTPError(413, f"The body is longer than {limits.max_body_bytes} bytes.", close=True)
