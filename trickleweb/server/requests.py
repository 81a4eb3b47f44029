"""The next request of a connection: read it from the input, plan or run it, and start its response."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from trickles.service import Continuation, Deferred, Event, Reply
from trickleweb.application import Application, Terms
from trickleweb.containment import Contained
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere, FilesUnavailable
from trickleweb.http1 import CONTINUE, unavailable
from trickleweb.messages import RequestHead
from trickleweb.server.context import ServiceContext
from trickleweb.server.errors import Busy, NotThisResponse
from trickleweb.server.fixed import Chunk, Sendable, last_response
from trickleweb.server.input import (
    NOT_WHOLE,
    CompleteRequest,
    Interim,
    PartialRequest,
    RefusedRequest,
    RequestReader,
    lost,
)
from trickleweb.server.planned import Planner
from trickleweb.server.progress import LONG_BYTES
from trickleweb.server.tokens import InterimToken, encode
from trickleweb.server.window import InputWindow, Where, input_window

if TYPE_CHECKING:
    from trickleweb.server.exchanges import Exchanges

_TRIES = 3  # at a file that is replaced while its response starts
_INTERIM = encode(InterimToken())
_CONTAINED = Contained("the application")


class At(NamedTuple):
    """The position of the next request: output offset `start`, after chunks of the response before it."""

    event: Event
    start: int
    where: Where
    before: tuple[Chunk, ...]


class RequestServer:
    """Starts responses by a planner, by exchanges, or by both: the planner comes first."""

    def __init__(
        self,
        application: Application | None,
        planner: Planner | None,
        exchanges: Exchanges | None,
        context: ServiceContext,
    ) -> None:
        self._application = application
        self._planner = planner
        self._exchanges = exchanges
        self._read = context.read
        self._repeats = context.repeats
        self._observer = context.observer
        self._remember = context.remember
        self._report = context.report
        self._now_s = context.now_s
        self._reader = RequestReader(self._terms, context.limits.request, context.now_s)

    def drop_caches(self) -> None:
        self._reader.drop_caches()

    def next(
        self,
        event: Event,
        start: int,
        where: Where,
        before: tuple[Chunk, ...] = (),
        *,
        continued: bool = False,
        scanned: bool = False,
    ) -> Reply | Deferred:
        """Start the response to the next request, if any, at output offset `start`, after `before`."""
        exchanges = self._exchanges
        if exchanges is not None and (found := exchanges.under_way(event, start, where)) is not None:
            return found._replace(chunks=(*before, *found.chunks)) if before and isinstance(found, Reply) else found
        at = At(event, start, where, before)
        window = input_window(event, where[1])
        if event.input_lost:
            return self._refuse(at, RefusedRequest(None, lost(NOT_WHOLE), None), window)
        if self._repeats is not None and (repeat := self._repeats.find(window)) is not None:
            try:
                return self._begin(at, repeat.made, window.size_bytes, repeat.head)
            except (ContentNotHere, FilesUnavailable):
                pass
        may_scan = exchanges is not None and window.size_bytes >= LONG_BYTES and not scanned
        if exchanges is not None and may_scan and self._reader.long_scan(window, where) is not None:
            again = partial(self.next, *at, continued=continued, scanned=True)
            return exchanges.scan(self._reader, window, where, again)
        for _ in range(_TRIES):
            try:
                return self._read_next(at, window, continued=continued)
            except ContentNotHere:  # replaced since it was planned, before any byte was sent
                continue
            except FilesUnavailable as error:
                self._report(error)
                refused = RefusedRequest(None, unavailable("The file cannot be read."), None)
                return self._refuse(at, refused, window)
        raise Busy

    def _read_next(self, at: At, window: InputWindow, *, continued: bool) -> Reply | Deferred:
        asked_ns = 0 if self._repeats is None else self._repeats.now_ns()
        found = self._reader.read(window, at.where, early=at.event.early, continued=continued)
        if isinstance(found, CompleteRequest):
            return self._answer(at, found, window, asked_ns)
        match found:
            case None:
                return Reply(at.before, end=at.start if window.ended and window.is_nothing else None)
            case Interim():
                known = Continuation(_INTERIM, at.start, at.start + len(CONTINUE), at.where[1])
                return Reply((*at.before, *wanted_of(at.start, CONTINUE, at.event)), known)
            case RefusedRequest():
                return self._refuse(at, found, window, asked_ns)
        return self._receive(at, found, window)

    def _answer(self, at: At, found: CompleteRequest, window: InputWindow, asked_ns: int) -> Reply | Deferred:
        plan = found.terms.plan
        if plan is None:
            return self._run(at, found)
        assert self._planner is not None
        made = self._planner.made(plan, found.head, close=found.closes)
        made = self._noted(window, asked_ns, made, found.head, found.size_bytes)
        return self._begin(at, made, found.size_bytes, found.head)

    def _noted(self, window: InputWindow, asked_ns: int, made: Sendable, head: RequestHead, size: int) -> Sendable:
        """Return the response, noted for repeats of a request that is all of the input."""
        if self._repeats is None or size != window.size_bytes or made.response.last:
            return made
        return self._repeats.note(window, asked_ns, made, head, self._read)

    def _receive(self, at: At, found: PartialRequest, window: InputWindow) -> Reply | Deferred:
        def then() -> Reply:
            if found.error is None:
                return Reply(at.before)
            return self._refuse(at, RefusedRequest(None, found.error, None), window)

        if self._exchanges is None:
            return then()
        return self._exchanges.receive(at.event, at.where, found, then)

    def _refuse(self, at: At, refused: RefusedRequest, window: InputWindow, asked_ns: int = 0) -> Reply:
        """Answer a request without the application; the connection ends if its body is incomplete."""
        head, size = refused.head, refused.size_bytes
        close = size is None or (window.ended and size == window.size_bytes)
        taken = window.size_bytes if size is None else size
        made = self._refusal(refused.error, head, window.first, close=close)
        if head is not None:
            made = self._noted(window, asked_ns, made, head, taken)
        return self._begin(at, made, taken, head)

    def _refusal(self, error: HTTPError, head: RequestHead | None, first: bytes, *, close: bool) -> Sendable:
        has_body = not first.lstrip(b"\r\n").startswith(b"HEAD ")
        if self._planner is not None:
            if head is None:
                return self._planner.last(error, has_body=has_body)
            return self._planner.made(self._planner.refusal(error, head), head, close=close)
        if head is None:
            return last_response(error, self._now_s(), has_body=has_body)
        from trickleweb.server.run import refused

        made = refused(error, head, close=close, date_s=self._now_s()).sendable
        assert made is not None
        return made

    def _begin(self, at: At, made: Sendable, size_bytes: int, head: RequestHead | None) -> Reply:
        """Return the first reply of a fixed response to a request of `size_bytes`."""
        event, start, where, before = at
        consumed = event.input_stop if made.response.last else where[1] + size_bytes
        reply = made.begin(event, start, consumed, self._read, before)
        self._remember(made.token, made.response)
        self._observer.begun(head, event.peer, made.status, made.response.body_bytes)
        return reply

    def _terms(self, head: RequestHead) -> Terms:
        terms = None if self._planner is None else self._planner.terms(head)
        if terms is not None:
            return terms
        if self._application is None:
            raise HTTPError(404)
        try:
            with _CONTAINED:
                return self._application.terms(head)
        except HTTPError:
            raise
        except Exception as error:  # noqa: BLE001 - every failure gets a response
            self._report(error)
            raise HTTPError(500) from None

    def _run(self, at: At, complete: CompleteRequest) -> Deferred:
        if self._exchanges is None:
            raise NotThisResponse("nothing is run here")
        return self._exchanges.run(at.event, at.start, at.where, complete)


def wanted_of(start: int, data: bytes, event: Event) -> tuple[tuple[int, bytes], ...]:
    """Return the wanted part of a few bytes at `start`."""
    found = [(max(low, start), min(high, start + len(data))) for low, high in event.wants]
    return tuple((low, data[low - start : high - start]) for low, high in found if low < high)
