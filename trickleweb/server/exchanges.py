"""Exchanges with the application, on an event loop: running requests, just started responses, and streams.

Nothing here is needed for correctness. A request that is repeated while it runs gets the reply of the same task; one
repeated later gets the started response, from a cache; all others are answered from tokens and the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from trickles.errors import InputBusy, InputLost
from trickles.service import Continuation, Deferred, Event
from trickles.stores import store_name
from trickleweb.application import Application
from trickleweb.cache import LruCache
from trickleweb.fetching import MOST_FETCHES, fetched
from trickleweb.files import ContentNotHere
from trickleweb.ledger import OtherLedger
from trickleweb.limits import SAFE_METHODS
from trickleweb.messages import RequestHead
from trickleweb.server.context import FleetResources, ServiceContext
from trickleweb.server.drain import Drain
from trickleweb.server.errors import Busy, Ending, NotThisResponse
from trickleweb.server.fixed import FixedResponse, Sendable
from trickleweb.server.input import CompleteRequest, PartialRequest, RequestReader
from trickleweb.server.limits import OVERHEAD_BYTES
from trickleweb.server.parking import Parking
from trickleweb.server.resume import Resumer
from trickleweb.server.run import FirstRun, RequestFactory, Responder
from trickleweb.server.shelf import Shelf
from trickleweb.server.start import ResponseStarter, StartedResponse
from trickleweb.server.stored import StoredResponse
from trickleweb.server.stored_streams import StoredStreams
from trickleweb.server.storing import Storing
from trickleweb.server.stream import StreamedResponse
from trickleweb.server.streams import Streams
from trickleweb.server.tasks import Answer, TaskTable
from trickleweb.server.tokens import KeptToken, Token
from trickleweb.server.tokens.ranges import VerifiedRange
from trickleweb.server.tokens.stored import StoredToken
from trickleweb.server.unsafe import AtMostOnce, UnsafeRequests
from trickleweb.server.window import InputWindow, Where

_PART_BYTES = 4 << 20  # between two runs on parts of a request
_LEAST_PART_BYTES = 1 << 16  # between two runs a second apart: a run is more work than a few bytes
_MOST_PARTS = 4096  # requests that arrive at the same time
_ELSEWHERE = (
    "an unsafe request was not run: its connection began at a replica with another ledger than this one's (store %s)."
    " Share one ledger among all replicas of a fleet (--ledger), or give the others a keyring of their own"
)


class Exchanges:
    """Runs an application. `other_ledger` counts unsafe requests of connections that began with another ledger."""

    def __init__(self, application: Application, resources: FleetResources, context: ServiceContext) -> None:
        limits = context.limits
        self.other_ledger = 0
        self._application = application
        self._resources = resources
        self._context = context
        self._drain = Drain()
        self._once = AtMostOnce(resources.ledger, context.clock_us, self._drain)
        self._tasks = TaskTable(limits.server.running, context.report)
        responder = Responder(application, context.report, limits.server)
        self._requests = requests = RequestFactory(resources)
        self._shelf = Shelf(resources.responses, limits.server)
        self._storing = Storing(resources.responses, self._shelf, limits.server.running, context.report)
        unsafe = UnsafeRequests(responder, self._once, self._storing)
        self._starter = ResponseStarter(
            responder, requests, self._once, unsafe, self._shelf, resources.pages, limits.streams
        )
        self._resumer = Resumer(responder, requests, self._once, resources.pages, limits)
        self._parking = Parking(limits.streams, context.report)
        self._streams = Streams(self._tasks, self._parking, self._resumer, context)
        self._stored = StoredStreams(self._tasks, self._parking, self._shelf, context)
        self._started: LruCache[Where, StartedResponse] = LruCache(limits.server.remembered_bytes)
        self._parts: LruCache[Where, tuple[int, int]] = LruCache(_MOST_PARTS)  # size and time of the last run

    def drop_caches(self) -> None:
        """Drop all caches; running requests continue."""
        self._streams.drop_caches()
        self._shelf.clear()
        self._started.clear()
        self._parts.clear()

    @property
    def busy(self) -> bool:
        """True if requested work is in progress."""
        return len(self._tasks) > 0 or self._parking.busy or bool(self._storing.running)

    def left(self, connection: bytes) -> None:
        """End the work for a client that has left, except for unsafe requests, whose programs are informed."""
        self._tasks.left(connection)
        self._streams.left(connection)
        self._stored.left(connection)
        self._requests.left(connection)

    async def drain(self) -> None:
        """Begin nothing more, end safe work, and wait for the end of unsafe requests and of what their clients ask."""
        self._drain.begin()
        self._tasks.left_all()
        await self._streams.close()
        await self._drain.over(lambda: [*self._tasks.running, *self._storing.running])

    async def close(self) -> None:
        """End all work."""
        await self._tasks.close()
        await self._parking.close()
        await self._streams.close()
        await self._storing.close()
        await self._shelf.close()
        self._once.close()

    # The next request

    def under_way(self, event: Event, start: int, where: Where) -> Answer | None:
        """Return the reply to a request that was started here or is running; None if it is unknown."""
        known = self._started.get(where)
        if known is not None and not (isinstance(known.what, StreamedResponse) and known.what.producer.closed):
            return self.begin(event, start, where, known)
        then, task = partial(self.begin, event, start, where), self._tasks.find(where)
        if task is not None:
            return self._tasks.reply(task, then)
        return self._tasks.answer(where, lambda: self._lose(event, where), then) if event.input_lost else None

    def run(self, event: Event, start: int, where: Where, complete: CompleteRequest) -> Deferred:
        """Run a request, and reply with the beginning of its response; raise `Busy` or `Ending` before that."""
        if self._drain.begun:  # without a call: this line is hot
            raise Ending
        owner = event.connection if complete.head.method in SAFE_METHODS else None
        make, then = partial(self._run, complete, event, where), partial(self.begin, event, start, where)
        return self._tasks.answer(where, make, then, early=event.early, owner=owner)

    def receive(self, event: Event, where: Where, arrived: PartialRequest, then: Callable[[], Answer]) -> Answer:
        """Run a request on the part of its body that has arrived, if that is much more than the last time.

        Reply at once with the result of `then`; after the run if no more can follow. An error ends the connection.
        Raise `Busy` or `Ending`.
        """
        self._drain.check()
        size, now_s = arrived.part.size_bytes, self._context.now_s()
        if arrived.error is not None:
            make = partial(self._run_part, arrived.part, event, where)
            return self._tasks.answer(("part", where, size), make, lambda _: then())
        name, (last, last_s) = ("part", where), self._parts.get(where) or (0, now_s)
        least = _PART_BYTES if now_s == last_s else _LEAST_PART_BYTES
        if self._tasks.find(name) is None and size - last >= least:
            with suppress(Busy):  # the next part has all of this one
                self._tasks.start(name, lambda: self._run_part(arrived.part, event, where))
            last, last_s = size, now_s
        self._parts.put(where, (last, last_s))
        return then()

    def scan(self, reader: RequestReader, window: InputWindow, where: Where, then: Callable[[], Answer]) -> Answer:
        """Scan a long body in chunks on a thread, as far as that gets on; reply with the result of `then`."""

        async def scanned() -> None:
            at, fetches = -1, 0
            while fetches < MOST_FETCHES:
                try:
                    scan = reader.long_scan(window, where)
                    found = None if scan is None else await asyncio.to_thread(scan)
                except InputBusy as busy:
                    fetches += 1
                    await fetched(busy)
                    continue
                if found is not None:
                    reader.note_scanned(where, found)
                if found is None or found.wrong is not None or found.at <= at:
                    return
                at, fetches = found.at, 0

        return self._tasks.answer(("scan", where), scanned, lambda _: then())

    def begin(self, event: Event, start: int, where: Where, started: StartedResponse) -> Answer:
        """Return the beginning of a started response at output offset `start`."""
        what, consumed = started.what, event.input_stop if started.last else where[1] + started.size_bytes
        if isinstance(what, StreamedResponse):
            return self._streams.begin(event, start, (where[0], consumed), what)
        if isinstance(what, StoredResponse):
            self._drain.sent()
            return self._stored.begin(event, start, consumed, what)
        self._context.remember(what.token, what.response)
        try:
            return what.begin(event, start, consumed, self._application.read)
        except ContentNotHere as error:  # replaced since it was planned: a repeated request gets the new file
            self._started.drop(where)
            raise NotThisResponse(str(error)) from error

    def note(self, started: StartedResponse, where: Where, head: RequestHead | None, peer: str, began_us: int) -> None:
        """Remember a response that begins, and report it."""
        weight, length = 0, None
        if isinstance(started.what, Sendable):
            weight, length = started.what.response.weight, started.what.response.body_bytes
        self._started.put(where, started, weight + OVERHEAD_BYTES)
        self._context.observer.started(head, peer, started.status, length, began_us)

    # The response of a token

    def stream(self, event: Event, known: Continuation, covered: VerifiedRange | StoredToken) -> Answer:
        """Reply with the wanted bytes of a range."""
        if isinstance(covered, StoredToken):
            self._drain.sent()
            return self._stored.answer(event, known, covered)
        self._drain.check()
        return self._streams.answer(event, known, covered)

    def resume(self, event: Event, token: Token, state: bytes, then: Callable[[FixedResponse], Answer]) -> Deferred:
        """Make the response of a token again, and reply with the result of `then`; raise `Busy` or `Ending`."""
        if not isinstance(token, KeptToken):
            self._drain.check()
        return self._tasks.answer(state, lambda: self._resume(event, token), then)

    async def _resume(self, event: Event, token: Token) -> FixedResponse:
        began = self._context.clock_us()
        response = await self._resumer.fixed(token, event.connection, event.peer)
        self._context.observer.resumed(event.peer, began)
        return response

    async def _lose(self, event: Event, where: Where) -> StartedResponse:
        now = self._context.clock_us()
        started = await self._starter.lost(where, date_s=now // 1_000_000)
        self.note(started, where, None, event.peer, now)
        return started

    async def _run(self, complete: CompleteRequest, event: Event, where: Where) -> StartedResponse:
        began = self._context.clock_us()
        if event.other_store and complete.head.method not in SAFE_METHODS and not complete.terms.repeatable:
            self.other_ledger += 1
            raise OtherLedger(_ELSEWHERE % store_name(self._resources.ledger.store_id))
        context = FirstRun(began, where[1], self._resources.entropy)
        started = await self._starter.start(complete, where, event.peer, context)
        if isinstance(started.what, StreamedResponse):
            await self._first_bytes(started.what)
        elif isinstance(started.what, StoredResponse):
            await self._stored.first_bytes(started.what)
        if complete.head.method not in SAFE_METHODS:
            self._drain.sent()
        self.note(started, where, complete.head, event.peer, began)
        return started

    async def _run_part(self, part: CompleteRequest, event: Event, where: Where) -> None:
        began = self._context.clock_us()
        if event.other_store:
            return  # the whole request will be refused
        context = FirstRun(began, where[1], self._resources.entropy)
        try:
            started = await self._starter.part(part, where, event.peer, context)
        except (InputLost, InputBusy):  # a later part has it again
            return
        if started is not None:
            self.note(started, where, part.head, event.peer, began)

    async def _first_bytes(self, stream: StreamedResponse) -> None:
        """Wait briefly so that the first bytes leave with the head. On cancellation close the stream: it has no
        reader.
        """
        producer = stream.producer
        try:
            await asyncio.sleep(0)
            if not producer.buffer.stop and not producer.over:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._context.limits.streams.first_seconds):
                        await producer.news()
        except asyncio.CancelledError:
            producer.close()
            raise
