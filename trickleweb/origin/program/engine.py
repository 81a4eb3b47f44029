"""The HTTP server for programs: an event in, a reply out, now or later; what is kept between two can be lost.

A program runs once for each request. What it returned becomes a response with a state of its own; from then on any
replica answers any wanted range of it: from the state, by going on from a cursor, or by running a safe request again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from trickles.keyring import Keyring
from trickles.service import Continuation, Deferred, Event, Refusal, Reply
from trickleweb.application import Application
from trickleweb.bodies import StateRefused
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere, HashPending
from trickleweb.files.recent import Recent
from trickleweb.http1 import CONTINUE
from trickleweb.ledger import Ledger, LedgerUnavailable
from trickleweb.limits import DEFAULT_LIMITS, Limits
from trickleweb.messages import Request as Head
from trickleweb.origin.given import given_by
from trickleweb.origin.program.answered import Answered, Observe, unobserved
from trickleweb.origin.program.beginning import Beginner, Begun, Turn, refused
from trickleweb.origin.program.live import Live, StreamFailed
from trickleweb.origin.program.lives import Lives
from trickleweb.origin.program.moment import SEED_BYTES, Moment
from trickleweb.origin.program.once import Once
from trickleweb.origin.program.plain import Plain
from trickleweb.origin.program.reviving import Reviver
from trickleweb.origin.program.running import Runner
from trickleweb.origin.program.stretch import AGAIN, CURSOR, Stretch
from trickleweb.origin.program.stretch import decode as decode_stretch
from trickleweb.origin.program.taking import Interim, Refused, Taken, Taker, Where
from trickleweb.origin.program.tape import TapeCut
from trickleweb.origin.response import NotThisResponse, Response
from trickleweb.plain import StateTooLarge

T = TypeVar("T")
INTERIM = b"\x08"  # the state of a 100 Continue, whose request is still to come
MOST_RUNNING = 2048
PARK_S = 25.0  # then a client that waits for a slow stream asks again
_FIRST_S = 0.003  # a stream that gives something by then is begun with it
_REMEMBERED = 16 << 20
_OVERHEAD = 1500


class AppOrigin:
    """A `trickles` service that serves a program, on an asyncio loop. `statuses` counts the responses it began.

    `ledger` is shared by all replicas, as is what `ring` gives; `clock_us` gives microseconds since 1970.
    """

    def __init__(
        self,
        application: Application,
        *,
        ring: Callable[[], Keyring],
        ledger: Ledger,
        clock_us: Callable[[], int],
        entropy: Callable[[int], bytes],
        limits: Limits = DEFAULT_LIMITS,
        observe: Observe = unobserved,
    ) -> None:
        self.statuses: Counter[int] = Counter()
        self._application = application
        self._clock_us = clock_us
        self._entropy = entropy
        self._observe = observe
        self._on_error: Callable[[Exception], None] = lambda _: None
        once = Once(ledger, clock_us)
        runner = Runner(application, ring, ledger, self._report)
        self._taker = Taker(application.terms, limits)
        self._beginner = Beginner(runner, once, self._report)
        self._reviver = Reviver(runner, once, limits)
        self._lives = Lives()
        self._begun: Recent[Where, Begun] = Recent(_REMEMBERED)
        self._states: Recent[bytes, Response] = Recent(_REMEMBERED)
        self._stretches: Recent[bytes, Stretch] = Recent(4096)
        self._running: dict[object, asyncio.Task[Any]] = {}

    def report_errors(self, callback: Callable[[Exception], None]) -> None:
        """Tell what the program should not have raised; the client gets a 500, or a transfer that breaks off."""
        self._on_error = callback

    def drop_caches(self) -> None:
        """Forget all that only makes things faster; what runs goes on."""
        self._lives.clear()
        self._taker.drop_caches()
        for each in (self._begun, self._states, self._stretches):
            each.clear()

    @property
    def busy(self) -> bool:
        """Something is under way that was asked for."""
        return bool(self._running)

    async def close(self) -> None:
        """End all that runs; nobody is told."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._lives.clear()

    def handle(self, event: Event) -> Reply | Deferred:
        """Answer one event; never raises for what a client sends or a program does."""
        made = self._safely(lambda: self._handle(event), early=event.early)
        assert isinstance(made, Reply | Deferred)
        return made

    # what an event asks for

    def _handle(self, event: Event) -> Reply | Deferred:
        known = event.continuation
        if known is None:
            return self._go_on(event, 0, 0, told_to_go_on=False)
        incoming = bool(event.input or event.input_end or event.spooled)
        form = known.state[0]
        if form in (AGAIN, CURSOR):
            if incoming and not known.more:
                last = self._stretch(known.state).framing.last
                return self._behind(event, known, last=last)
            return self._stream(event, known)
        if form == INTERIM[0]:
            if incoming:
                return self._behind(event, known, last=False, told_to_go_on=True)
            return Reply(_clipped(known.start, CONTINUE, event))
        response = self._states.get(known.state)
        if response is not None:
            return self._plain(event, known, response)
        task = self._task(known.state, lambda: self._reviver.plain(known.state, event.connection, event.peer))
        return self._later(task, lambda made: self._revived(event, known, made))

    def _revived(self, event: Event, known: Continuation, response: Response) -> Reply | Deferred:
        self._states.put(known.state, response, response.inline_bytes + _OVERHEAD)
        return self._plain(event, known, response)

    def _plain(self, event: Event, known: Continuation, response: Response) -> Reply | Deferred:
        chunks = tuple(response.chunks(known.start, event.wants, event.budget, self._application.read))
        if response.last or not (event.input or event.input_end or event.spooled):
            return Reply(chunks, end=known.start + response.size_bytes if response.last else None)
        return self._behind(event, known, last=False)

    def _behind(
        self, event: Event, known: Continuation, *, last: bool, told_to_go_on: bool = False
    ) -> Reply | Deferred:
        """The next request on the connection, if it goes on."""
        assert known.stop is not None
        if last:
            return Reply(end=known.stop)
        return self._go_on(event, known.stop, known.consumed, told_to_go_on=told_to_go_on)

    # the next request

    def _go_on(self, event: Event, start: int, consumed: int, *, told_to_go_on: bool) -> Reply | Deferred:
        where = (event.connection, consumed)
        known = self._begun.get(where)
        if known is not None:
            return self._begin(event, start, consumed, known)
        task = self._running.get(where)
        if task is None:
            given = given_by(event, consumed)
            try:
                taken = self._taker.take(given, where, early=event.early, told_to_go_on=told_to_go_on)
            except HTTPError as error:
                return self._refuse(event, start, where, error, None, len(given.first), given.first, close=True)
            if taken is None:
                return Reply(end=start if given.ended and given.is_nothing else None)
            if isinstance(taken, Interim):
                interim = Continuation(INTERIM, start, start + len(CONTINUE), consumed)
                return Reply(_clipped(start, CONTINUE, event), interim)
            if isinstance(taken, Refused):
                size = taken.taken_bytes
                behind = given.size_bytes if size is None else size
                close = size is None or (given.ended and size == given.size_bytes)
                return self._refuse(event, start, where, taken.error, taken.head, behind, given.first, close=close)
            whole = taken
            task = self._task(where, lambda: self._run(whole, event, where))
        return self._later(task, lambda begun: self._begin(event, start, consumed, begun))

    def _refuse(
        self,
        event: Event,
        start: int,
        where: Where,
        error: HTTPError,
        head: Head | None,
        taken_bytes: int,
        given: bytes,
        *,
        close: bool,
    ) -> Reply | Deferred:
        now = self._clock_us()
        begun = refused(error, given, head, date_s=now // 1_000_000, taken_bytes=taken_bytes, close=close)
        self._note(begun, where, head, event.peer, now)
        return self._begin(event, start, where[1], begun)

    async def _run(self, taken: Taken, event: Event, where: Where) -> Begun:
        began = self._clock_us()
        close = taken.given.ended and taken.size_bytes == taken.given.size_bytes
        moment = Moment(began, where[1], self._entropy(SEED_BYTES))
        begun = await self._beginner.begin(Turn(taken, where[0], event.peer, moment, close))
        if isinstance(begun.what, Live):
            await self._something_of(begun.what)
        self._note(begun, where, taken.head, event.peer, began)
        return begun

    async def _something_of(self, live: Live) -> None:
        production = live.production
        await asyncio.sleep(0)
        if not production.tape.stop and not production.over:
            with suppress(TimeoutError):
                await asyncio.wait_for(production.news(), _FIRST_S)

    def _note(self, begun: Begun, where: Where, head: Head | None, peer: str, began: int) -> None:
        weight = begun.what.response.inline_bytes if isinstance(begun.what, Plain) else 0
        self._begun.put(where, begun, weight + _OVERHEAD)
        self.statuses[begun.status] += 1
        took = max(self._clock_us() - began, 0)
        self._observe(
            Answered(
                head=head, peer=peer, status=begun.status, body_bytes=begun.body_bytes, began_us=began, took_us=took,
                resumed=False,
            )
        )  # fmt: skip

    def _begin(self, event: Event, start: int, consumed: int, begun: Begun) -> Reply:
        behind = event.input_stop if begun.last else consumed + begun.taken_bytes
        what = begun.what
        if isinstance(what, Plain):
            self._states.put(what.state, what.response, what.response.inline_bytes + _OVERHEAD)
            return what.begin(event, start, behind, self._application.read)
        where = (event.connection, behind)
        if self._lives.get(where) is not what:
            self._lives.put(where, what)
        return what.begin(event, start, behind)

    # bodies that are made as they are asked for

    def _stretch(self, state: bytes) -> Stretch:
        stretch = self._stretches.get(state)
        if stretch is None:
            stretch = decode_stretch(state)
            self._stretches.put(state, stretch)
        return stretch

    def _stream(self, event: Event, known: Continuation) -> Reply | Deferred:
        stretch, where = self._stretch(known.state), (event.connection, known.consumed)
        live = self._lives.get(where)
        if live is not None:
            with suppress(TapeCut):
                if live.verify(known, stretch) and live.ready(event, known, stretch):
                    return live.answer(event, known, stretch)
                parked = self._task(object(), lambda: self._parked(live, event, known, stretch))
                return self._later(parked, lambda reply: reply)
            self._lives.drop(where)
        reviving = self._task(("revive", where), lambda: self._revive(stretch, event, where))
        return self._later(reviving, lambda _: self._stream(event, known))

    async def _revive(self, stretch: Stretch, event: Event, where: Where) -> Live:
        began = self._clock_us()
        live = await self._reviver.stream(stretch, event.connection, event.peer)
        self._lives.put(where, live)
        self._observe(
            Answered(
                head=None, peer=event.peer, status=0, body_bytes=None, began_us=began,
                took_us=max(self._clock_us() - began, 0), resumed=True,
            )
        )  # fmt: skip
        return live

    async def _parked(self, live: Live, event: Event, known: Continuation, stretch: Stretch) -> Reply:
        """Wait until there is something to answer with; after a while with nothing, to be asked again."""
        production = live.production
        assert known.stop is not None
        loop = asyncio.get_running_loop()
        until = loop.time() + PARK_S
        production.want(known.stop - stretch.body_at(known.start))
        while not (live.verify(known, stretch) and live.ready(event, known, stretch)):
            left = until - loop.time()
            if left <= 0:
                return Reply()
            with suppress(TimeoutError):
                await asyncio.wait_for(production.news(), left)
        return live.answer(event, known, stretch)

    # later

    def _task(self, name: object, make: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """What runs under that name, or what `make` starts; `Busy` if too much runs."""
        known = self._running.get(name)
        if known is not None:
            return known
        if len(self._running) >= MOST_RUNNING:
            raise Busy
        task = asyncio.get_running_loop().create_task(make())
        self._running[name] = task
        task.add_done_callback(lambda _: self._running.pop(name, None))
        return task

    def _later(self, task: asyncio.Task[T], then: Callable[[T], Reply | Deferred]) -> Deferred:
        """The reply that `then` makes of what the task gives."""
        deferred = Deferred()

        def done(task: asyncio.Task[T]) -> None:
            made = Reply(refusal=Refusal.BUSY) if task.cancelled() else self._safely(lambda: then(task.result()))
            if isinstance(made, Deferred):
                made.on_reply(deferred.resolve)
            else:
                deferred.resolve(made)

        task.add_done_callback(done)
        return deferred

    def _safely(self, make: Callable[[], Reply | Deferred], *, early: bool = False) -> Reply | Deferred:
        try:
            return make()
        except (HashPending, Busy, LedgerUnavailable) as error:
            if isinstance(error, LedgerUnavailable):
                self._report(error)
            return Reply() if early else Reply(refusal=Refusal.BUSY)
        except TapeCut:  # meanwhile others went on far ahead: asked for again, it is made anew
            return Reply()
        except (ContentNotHere, NotThisResponse, StateRefused, OSError):
            return Reply(refusal=Refusal.NOT_HERE)
        except (StreamFailed, StateTooLarge) as error:
            cause = error.__cause__ or error
            if isinstance(cause, Exception):
                self._report(cause)
            return Reply(refusal=Refusal.GONE)

    def _report(self, error: Exception) -> None:
        self._on_error(error)


class Busy(Exception):
    """Too much is under way: the client asks again, here or elsewhere."""


def _clipped(start: int, data: bytes, event: Event) -> tuple[tuple[int, bytes], ...]:
    """What is wanted of a few bytes at `start`."""
    found = [(max(low, start), min(high, start + len(data))) for low, high in event.wants]
    return tuple((low, data[low - start : high - start]) for low, high in found if low < high)
