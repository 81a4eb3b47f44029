"""Serve ranges of streamed responses: at once, when they are made, or from a response that is made again."""

from __future__ import annotations

from collections.abc import Callable

from trickles.service import Continuation, Deferred, Event, Reply
from trickleweb.server.context import ServiceContext
from trickleweb.server.errors import Busy, Evicted, NotThisResponse, StreamBroke
from trickleweb.server.live import heartbeat_of
from trickleweb.server.parking import Parking
from trickleweb.server.resume import Resumer
from trickleweb.server.sleeping import Sleepers
from trickleweb.server.stream import StreamedResponse, stop_of
from trickleweb.server.stream_cache import StreamCache
from trickleweb.server.tasks import TaskTable
from trickleweb.server.tokens.ranges import Cursor, EventReplay, Replay, VerifiedRange
from trickleweb.server.window import Where


class Streams:
    """Answers requests for ranges. `tasks` makes lost streams again; requests for more are parked."""

    def __init__(self, tasks: TaskTable, parking: Parking, resumer: Resumer, context: ServiceContext) -> None:
        limits = context.limits.streams
        self._tasks = tasks
        self._resumer = resumer
        self._limits = limits
        self._context = context
        self._parking = parking
        self._cache = StreamCache(limits)
        self._sleepers = Sleepers()

    def drop_caches(self) -> None:
        """Drop all streams, which can be made again; parked requests have to be repeated."""
        self._cache.clear()
        self._end(self._sleepers.all())

    def left(self, connection: bytes) -> None:
        """Drop the streams of a client that has left."""
        self._cache.left(connection)
        self._end(self._sleepers.of(connection))

    async def close(self) -> None:
        """End all work."""
        self._end(self._sleepers.all())
        await self._cache.close()

    def begin(self, event: Event, start: int, where: Where, stream: StreamedResponse) -> Reply:
        """Return the beginning of a response at output offset `start`; raise `Evicted` if it is dropped."""
        if stream.producer.closed:
            raise Evicted
        if self._cache.get(where) is not stream:
            self._cache.put(where, stream)
        return stream.begin(event, start, where[1])

    def answer(self, event: Event, known: Continuation, covered: VerifiedRange) -> Reply | Deferred:
        """Reply with the wanted bytes of that range; raise the error that prevents it here."""
        where = (event.connection, known.consumed)
        if self._cache.get(where) is None and not self._sleepers.wake(where):
            asleep = self._sleep(event, known, covered, where)
            if asleep is not None:
                return asleep
        stream = self._cache.get(where)
        if stream is not None:
            try:
                return self._from(stream, event, known, covered)
            except (Evicted, NotThisResponse, StreamBroke) as error:
                self._check_final(stream, covered, error)
            self._cache.drop(where)
        source = covered.source
        if isinstance(source, Cursor):  # so that thousands of streams move at once without a task each
            return self._from(self._stepped(covered, event, where), event, known, covered)
        return self._tasks.answer(
            ("resume", where, covered.framing),
            lambda: self._resume(covered, source, event, known, where),
            lambda stream: self._from(stream, event, known, covered),
            owner=event.connection,
        )

    def _from(
        self, stream: StreamedResponse, event: Event, known: Continuation, covered: VerifiedRange
    ) -> Reply | Deferred:
        if stream.verify(known, covered) and stream.ready(event, known, covered):
            return stream.answer(event, known, covered)
        if stream.parked >= self._limits.parked_each:
            raise Busy
        return self._park(stream, event, known, covered)

    async def _resume(
        self, covered: VerifiedRange, source: Replay | EventReplay, event: Event, known: Continuation, where: Where
    ) -> StreamedResponse:
        began = self._context.clock_us()
        stop = stop_of(known) - covered.body_at(known.start)
        stream = await self._resumer.stream(covered, source, stop, event.connection, event.peer)
        self._keep(stream, event, where, began)
        return stream

    def _stepped(self, covered: VerifiedRange, event: Event, where: Where) -> StreamedResponse:
        stream = self._resumer.stepped(covered)
        self._keep(stream, event, where, self._context.clock_us())
        return stream

    def _sleep(self, event: Event, known: Continuation, covered: VerifiedRange, where: Where) -> Deferred | None:
        """Reply once the stream has something to send, and make it only then; None if it may have something now."""
        source, stop = covered.source, stop_of(known)
        if not isinstance(source, Cursor) or not _is_for_news(event, known):
            return None
        reader = self._resumer.at_end(covered, source, stop - covered.body_at(known.start))
        if reader is None:
            return None

        def make() -> None:
            try:
                stream = self._stepped(covered, event, where)
                self._wait(deferred, stream, event, known, covered)()
            except Exception as error:  # noqa: BLE001 - the client must get a reply
                self._parking.answer(deferred, error)

        heartbeat = heartbeat_of(reader, chunked=covered.framing.chunked)
        deferred = self._parking.hold(event.peer, lambda: self._sleepers.remove(where), heartbeat)
        self._sleepers.add(where, deferred, reader, make)
        return deferred

    def _end(self, requests: list[Deferred]) -> None:
        for each in requests:
            self._parking.answer(each, Busy())

    def _keep(self, stream: StreamedResponse, event: Event, where: Where, began_us: int) -> None:
        self._cache.put(where, stream)
        self._context.observer.resumed(event.peer, began_us)

    def _park(self, stream: StreamedResponse, event: Event, known: Continuation, covered: VerifiedRange) -> Deferred:
        """Reply once a reply can be made."""
        heartbeat = stream.producer.heartbeat if _is_for_news(event, known) else None
        deferred = self._parking.hold(event.peer, _nothing, heartbeat)
        self._wait(deferred, stream, event, known, covered)
        return deferred

    def _wait(
        self, deferred: Deferred, stream: StreamedResponse, event: Event, known: Continuation, covered: VerifiedRange
    ) -> Callable[[], None]:
        """Let a held request wait for a stream: no task, but a reader of the producer; return the reader."""
        producer = stream.producer

        def look() -> None:
            try:
                if stream.verify(known, covered) and stream.ready(event, known, covered):
                    self._parking.answer(deferred, stream.answer(event, known, covered))
            except Exception as error:  # noqa: BLE001 - the client must get a reply
                self._parking.answer(deferred, self._lost(stream, event, known, covered, error))

        def end() -> None:
            stream.parked -= 1
            producer.leave(look)
            producer.let_go(covered.at)

        self._parking.hold_for(deferred, end)
        stream.parked += 1
        producer.hold(covered.at)
        producer.listen(look)
        producer.want(stop_of(known) - covered.body_at(known.start))
        return look

    def _lost(
        self, stream: StreamedResponse, event: Event, known: Continuation, covered: VerifiedRange, error: Exception
    ) -> Exception:
        """Return the error for a client whose request waited for a stream that met `error`."""
        if not isinstance(error, Evicted | NotThisResponse | StreamBroke):
            return error
        try:
            self._check_final(stream, covered, error)
        except NotThisResponse as final:
            return final
        where = (event.connection, known.consumed)
        if self._cache.get(where) is stream:
            self._cache.drop(where)
        return error if isinstance(error, StreamBroke) else Busy()

    @staticmethod
    def _check_final(stream: StreamedResponse, covered: VerifiedRange, error: Exception) -> None:
        """Raise an error that making the response again would repeat."""
        if isinstance(error, NotThisResponse) and stream.is_final(covered):
            raise error


def _is_for_news(event: Event, known: Continuation) -> bool:
    """Return whether a request asks for output after all that has a continuation: of steps, after the end of one."""
    return known.more and bool(event.wants) and event.wants[0][0] == stop_of(known)


def _nothing() -> None:
    pass
