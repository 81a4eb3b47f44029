"""The HTTP/1.1 server as a service on a listener: an event in, a reply out, now or later.

Each complete request at the beginning of the input becomes a response with a token of its own; from then on any replica
answers any wanted range of that response from the token. State between two events may be lost. The path of an event,
each step only if the one before does not answer it:

1. `_repeat`: the request came a moment ago, byte for byte, and its response followed from its head: send it again.
2. The event has a token: send the wanted bytes of its response (`fixed`, `streams`), made again if necessary.
3. There is input after that response: read the next request (`requests`, `input`). Its terms may hold a plan, if the
   response follows from the head alone (`planned`): files, redirects. That needs no event loop, and a folder has no
   other responses.
4. Otherwise run the application (`exchanges`), and reply later.

All errors become refusals in one table (`errors.refusal_of`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from trickles.service import Continuation, Deferred, Event, Reply
from trickleweb.application import Application, Planning
from trickleweb.cache import LruCache
from trickleweb.files import ContentNotHere, FilesUnavailable
from trickleweb.http1 import CONTINUE
from trickleweb.server.context import FleetResources, ServiceContext
from trickleweb.server.errors import BadToken, NotThisResponse, refusal_of, reported
from trickleweb.server.fixed import FixedResponse, Read, resumed
from trickleweb.server.limits import DEFAULT_SERVICE_LIMITS, ServiceLimits
from trickleweb.server.observer import Observe, Observer
from trickleweb.server.planned import Planner
from trickleweb.server.repeats import Repeats
from trickleweb.server.requests import RequestServer, wanted_of
from trickleweb.server.tokens import (
    AskedToken,
    InterimToken,
    KeptToken,
    PlannedToken,
    Token,
    decode_untrusted,
    keeps_alive,
)
from trickleweb.server.window import has_input

if TYPE_CHECKING:
    from trickleweb.server.exchanges import Exchanges
    from trickleweb.server.tokens.ranges import VerifiedRange
    from trickleweb.server.tokens.stored import StoredToken

_TOKENS = 4096


class HttpService:
    """Serves an `Application`, a `Planning`, or an object that is both.

    `statuses` counts the responses it started, repeats included. `clock_us` gives microseconds since 1970. An
    application needs `resources`, and runs on an asyncio loop. `repeats` is for plans that are equal for equal
    requests. `observe` is called when a response begins.
    """

    def __init__(
        self,
        application: Application | Planning,
        *,
        clock_us: Callable[[], int],
        resources: FleetResources | None = None,
        limits: ServiceLimits = DEFAULT_SERVICE_LIMITS,
        repeats: Repeats | None = None,
        observe: Observe | None = None,
    ) -> None:
        self._on_error: Callable[[Exception], None] = lambda _: None
        self._read: Read = application.read
        self._observer = Observer(observe, clock_us, self._report)
        self._repeats = repeats
        if hasattr(application, "respond"):  # which answers unknown methods itself
            limits = replace(limits, request=replace(limits.request, methods=None))
        self._responses: LruCache[bytes, FixedResponse] = LruCache(limits.server.remembered_bytes)
        self._context = context = ServiceContext(
            limits=limits, clock_us=clock_us, observer=self._observer, read=self._read, repeats=repeats,
            report=self._report, responses=self._responses,
        )  # fmt: skip
        self._planner: Planner | None = None
        self._exchanges: Exchanges | None = None
        self._tokens: LruCache[bytes, Token] = LruCache(_TOKENS)
        if hasattr(application, "plan"):
            self._planner = Planner(cast("Planning", application), context)
        run: Application | None = None
        if hasattr(application, "respond"):
            from trickleweb.server.exchanges import Exchanges  # not for a folder, which starts sooner

            if resources is None:
                raise TypeError("an application needs the fleet's resources")
            run = cast("Application", application)
            self._exchanges = Exchanges(run, resources, context)
        self._requests = RequestServer(run, self._planner, self._exchanges, context)

    @property
    def statuses(self) -> Counter[int]:
        """Counts of the responses that began here, by status."""
        return self._observer.statuses

    @property
    def other_ledger(self) -> int:
        """The number of unsafe requests refused because their connections began with another ledger."""
        return 0 if self._exchanges is None else self._exchanges.other_ledger

    @property
    def busy(self) -> bool:
        """True if requested work is in progress."""
        return self._exchanges is not None and self._exchanges.busy

    def report_errors(self, callback: Callable[[Exception], None]) -> None:
        """Send faults of the application to `callback`; the client gets a 500, or a transfer that ends with an
        error.
        """
        self._on_error = callback

    def drop_caches(self) -> None:
        """Drop all caches; running requests continue."""
        for each in (self._planner, self._exchanges, self._requests):
            if each is not None:
                each.drop_caches()
        for cache in (self._repeats, self._responses, self._tokens):
            if cache is not None:
                cache.clear()

    async def drain(self) -> None:
        """Begin no further runs, let unsafe requests end, and return when their clients have their responses."""
        if self._exchanges is not None:
            await self._exchanges.drain()

    async def close(self) -> None:
        """End all work."""
        if self._exchanges is not None:
            await self._exchanges.close()

    def handle(self, event: Event) -> Reply | Deferred:
        """Answer one event; never raises, whatever a client, a disk or an application does."""
        self._observer.mark()
        try:
            return (self._repeats and self._repeat(event, self._repeats)) or self._answer(event)
        except Exception as error:  # noqa: BLE001 - the client must get a reply
            if (fault := reported(error)) is not None:
                self._report(fault)
            return refusal_of(error, early=event.early)

    def left(self, connection: bytes) -> None:
        """End the work for a client that has left, or is silent for long; what is safe can be done again."""
        if self._exchanges is not None:
            self._exchanges.left(connection)

    # Responses of tokens

    def _repeat(self, event: Event, repeats: Repeats) -> Reply | None:
        """Answer a lone request that came a moment ago as `_answer` would, in half the time."""
        known, start, consumed = event.continuation, 0, 0
        if known is not None:
            if known.stop is None or (event.wants and event.wants[0][0] < known.stop) or not keeps_alive(known.state):
                return None
            start, consumed = known.stop, known.consumed
        if consumed != event.input_offset or event.input_end or event.spooled is not None or event.input_lost:
            return None
        repeat = repeats.recall(event.input)
        if repeat is None:
            return None
        try:
            reply = repeat.made.begin(event, start, consumed + len(event.input), self._read)
        except (ContentNotHere, FilesUnavailable):
            return None
        made = repeat.made
        self._observer.begun(repeat.head, event.peer, made.status, made.response.body_bytes)
        return reply

    def _answer(self, event: Event) -> Reply | Deferred:
        known = event.continuation
        if known is None:
            return self._requests.next(event, 0, (event.connection, 0))
        if known.stop is None:
            raise BadToken("a continuation of an unknown kind")
        response = self._responses.get(known.state)
        if response is not None:
            return self._fixed(event, known, response)
        token = self._tokens.get(known.state)
        if token is None:
            token = decode_untrusted(known.state)
            self._tokens.put(known.state, token)
        match token:
            case PlannedToken() | AskedToken() | KeptToken():
                return self._resumed(event, known, token)
            case InterimToken():
                if has_input(event):
                    return self._requests.next(event, known.stop, (event.connection, known.consumed), continued=True)
                return Reply(wanted_of(known.start, CONTINUE, event))
            case covered:
                return self._range(event, known, covered)

    def _range(self, event: Event, known: Continuation, covered: VerifiedRange | StoredToken) -> Reply | Deferred:
        assert known.stop is not None
        if known.more or not has_input(event):
            return self._run_by().stream(event, known, covered)
        if covered.last:
            return Reply(end=known.stop)
        return self._requests.next(event, known.stop, (event.connection, known.consumed))

    def _resumed(self, event: Event, known: Continuation, token: Token) -> Reply | Deferred:
        """Reply from a response that is not cached, made again here."""
        if isinstance(token, PlannedToken):
            if self._exchanges is not None:
                self._observer.resumed_now(event.peer)
            return self._fixed(event, known, self._context.remember(known.state, resumed(token.delivered, token.plan)))
        if isinstance(token, AskedToken) and token.context is None:
            if self._planner is None:
                raise NotThisResponse("nothing is planned here")
            return self._fixed(event, known, self._context.remember(known.state, self._planner.resumed(token)))

        def made(response: FixedResponse) -> Reply | Deferred:
            return self._fixed(event, known, self._context.remember(known.state, response))

        return self._run_by().resume(event, token, known.state, made)

    def _fixed(self, event: Event, known: Continuation, response: FixedResponse) -> Reply | Deferred:
        chunks = tuple(response.chunks(known.start, event.wants, event.budget, self._read))
        stop = known.start + response.size_bytes
        if response.last or not has_input(event):
            return Reply(chunks, self._hashed(known, response), stop if response.last else None)
        return self._requests.next(event, stop, (event.connection, known.consumed), chunks)

    def _hashed(self, known: Continuation, response: FixedResponse) -> Continuation | None:
        """Return a new continuation once files have hashes that had none when the response began."""
        if self._planner is None or not response.provisional:
            return None
        token = decode_untrusted(known.state)
        fresh = self._planner.hashed(token) if isinstance(token, PlannedToken) else None
        return None if fresh is None else known._replace(state=fresh)

    def _run_by(self) -> Exchanges:
        if self._exchanges is None:
            raise NotThisResponse("nothing is run here")
        return self._exchanges

    def _report(self, error: Exception) -> None:
        self._on_error(error)
