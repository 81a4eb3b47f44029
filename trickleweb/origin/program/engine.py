"""The HTTP server for programs: an event in, a reply out, now or later; what is kept between two can be lost.

A program runs once for each request. What it returned becomes a response with a state of its own; from then on any
replica answers any wanted range of it: from the state, by going on from a cursor, or by running a safe request again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from trickles.keyring import Keyring
from trickles.service import Continuation, Deferred, Event, Reply
from trickles.stores import store_name
from trickleweb.application import Application
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere
from trickleweb.files.recent import Recent
from trickleweb.http1 import CONTINUE
from trickleweb.ledger import Ledger, OtherLedger
from trickleweb.limits import DEFAULT_LIMITS, Limits
from trickleweb.messages import Request as Head
from trickleweb.origin.answered import Answered, Observe, unobserved
from trickleweb.origin.given import Given, given_by
from trickleweb.origin.program.beginning import Beginner, Begun, Turn, refused
from trickleweb.origin.program.bounds import MOST_REMEMBERED_BYTES, MOST_RUNNING
from trickleweb.origin.program.known import Known, known_by
from trickleweb.origin.program.later import Work
from trickleweb.origin.program.live import Live
from trickleweb.origin.program.moment import SEED_BYTES, Moment
from trickleweb.origin.program.once import Once
from trickleweb.origin.program.plain import Plain
from trickleweb.origin.program.reviving import Reviver
from trickleweb.origin.program.running import Runner
from trickleweb.origin.program.streams import Streams
from trickleweb.origin.program.stretch import AGAIN, CURSOR
from trickleweb.origin.program.taking import SAFE_METHODS, Interim, Looked, Refused, Taken, Taker, Where
from trickleweb.origin.response import Chunk, Response

INTERIM = b"\x08"  # the state of a 100 Continue, whose request is still to come
_ELSEWHERE = (
    "an unsafe request was not run: its connection began at a replica with another ledger than this one's (store %s)."
    " Let all replicas of a fleet share one ledger (--ledger), or give those that do not a keyring of their own"
)
_FIRST_S = 0.003  # a stream that gives something by then is begun with it
_OVERHEAD = 1500


class AppOrigin:
    """A `trickles` service that serves a program, on an asyncio loop. `statuses` counts the responses it began.

    `other_ledger` counts unsafe requests of connections that began where another ledger is in use: they are not run.

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
        self.other_ledger = 0
        self._application = application
        self._clock_us = clock_us
        self._entropy = entropy
        self._observe = observe
        self._on_error: Callable[[Exception], None] = lambda _: None
        self._once = Once(ledger, clock_us)
        self._ledger = ledger
        self._work = Work(MOST_RUNNING, self._report)
        runner = Runner(application, ring, ledger, self._report)
        self._taker = Taker(application.terms, limits, lambda: clock_us() // 1_000_000)
        self._beginner = Beginner(runner, self._once, self._report)
        self._reviver = Reviver(runner, self._once, limits)
        self._streams = Streams(self._work, self._reviver, self._report, self._tell, clock_us)
        self._begun: Recent[Where, Begun] = Recent(MOST_REMEMBERED_BYTES)
        self._states: Recent[bytes, Response] = Recent(MOST_REMEMBERED_BYTES)

    def report_errors(self, callback: Callable[[Exception], None]) -> None:
        """Tell what the program should not have raised; the client gets a 500, or a transfer that breaks off."""
        self._on_error = callback

    def drop_caches(self) -> None:
        """Forget all that only makes things faster; what runs goes on."""
        self._streams.drop_caches()
        self._taker.drop_caches()
        self._begun.clear()
        self._states.clear()

    @property
    def busy(self) -> bool:
        """Something is under way that was asked for."""
        return len(self._work) > 0 or self._streams.busy

    async def close(self) -> None:
        """End all that runs."""
        await self._work.close()
        await self._streams.close()
        self._once.close()

    def handle(self, event: Event) -> Reply | Deferred:
        """Answer one event; never raises for what a client sends or a program does."""
        return self._work.safely(lambda: self._handle(event), early=event.early)

    # what an event asks for

    def _handle(self, event: Event) -> Reply | Deferred:
        if event.continuation is None:
            return self._go_on(event, 0, 0)
        known = known_by(event.continuation)
        form = known.state[0]
        if form in (AGAIN, CURSOR):
            if known.more or not _is_incoming(event):
                return self._streams.answer(event, known)
            return self._behind(event, known, last=self._streams.stretch(known.state).framing.last)
        if form == INTERIM[0]:
            if _is_incoming(event):
                return self._behind(event, known, last=False, told_to_go_on=True)
            return Reply(_clipped(known.start, CONTINUE, event))
        response = self._states.get(known.state)
        if response is not None:
            return self._plain(event, known, response)
        task = self._work.task(known.state, lambda: self._revive(event, known))
        return self._work.reply(task, lambda made: self._plain(event, known, made))

    async def _revive(self, event: Event, known: Known) -> Response:
        began = self._clock_us()
        response = await self._reviver.plain(known.state, event.connection, event.peer)
        self._states.put(known.state, response, response.inline_bytes + _OVERHEAD)
        self._tell(Answered.gone_on_with(event.peer, began, self._clock_us()))
        return response

    def _plain(self, event: Event, known: Known, response: Response) -> Reply | Deferred:
        chunks = tuple(response.chunks(known.start, event.wants, event.budget, self._application.read))
        if response.last or not _is_incoming(event):
            return Reply(chunks, end=known.start + response.size_bytes if response.last else None)
        return self._behind(event, known, chunks, last=False)

    def _behind(
        self,
        event: Event,
        known: Known,
        chunks: tuple[Chunk, ...] = (),
        *,
        last: bool,
        told_to_go_on: bool = False,
    ) -> Reply | Deferred:
        """The next request on the connection, if it goes on; behind `chunks` of this one's response."""
        if last:
            return Reply(chunks, end=known.stop)
        made = self._go_on(event, known.stop, known.consumed, told_to_go_on=told_to_go_on)
        return made._replace(chunks=(*chunks, *made.chunks)) if chunks and isinstance(made, Reply) else made

    # the next request

    def _go_on(
        self, event: Event, start: int, consumed: int, *, told_to_go_on: bool = False, looked: bool = False
    ) -> Reply | Deferred:
        where = (event.connection, consumed)
        known = self._begun.get(where)
        if known is not None and not (isinstance(known.what, Live) and known.what.production.closed):
            return self._begin(event, start, where, known)
        task = self._work.find(where)
        if task is None and event.input_lost:
            task = self._work.task(where, lambda: self._lose(event, where))
        if task is None:
            given = given_by(event, consumed)
            try:
                if not looked and (look := self._taker.look(given, where)) is not None:
                    looking = self._work.task(("look", where), lambda: self._look(look, where))
                    again = partial(self._go_on, event, start, consumed, told_to_go_on=told_to_go_on, looked=True)
                    return self._work.reply(looking, lambda _: again())
                taken = self._taker.take(given, where, early=event.early, told_to_go_on=told_to_go_on)
            except HTTPError as error:
                return self._refuse(event, start, where, Refused(None, error, None), given)
            if taken is None:
                return Reply(end=start if given.ended and given.is_nothing else None)
            if isinstance(taken, Interim):
                interim = Continuation(INTERIM, start, start + len(CONTINUE), consumed)
                return Reply(_clipped(start, CONTINUE, event), interim)
            if isinstance(taken, Refused):
                return self._refuse(event, start, where, taken, given)
            whole = taken
            task = self._work.task(where, lambda: self._run(whole, event, where))
        return self._work.reply(task, lambda begun: self._begin(event, start, where, begun))

    async def _lose(self, event: Event, where: Where) -> Begun:
        """What there is to say to a request whose input was lost."""
        now = self._clock_us()
        begun = await self._beginner.lost(where, date_s=now // 1_000_000)
        self._note(begun, where, None, event.peer, now)
        return begun

    async def _look(self, look: Callable[[], Looked], where: Where) -> None:
        """What is wrong with the chunks is found again when the request is taken."""
        with suppress(HTTPError):
            self._taker.note_looked(where, await asyncio.to_thread(look))

    def _refuse(self, event: Event, start: int, where: Where, taken: Refused, given: Given) -> Reply:
        """Answer a request that the program does not see; what its body would be is not known if it is not there."""
        now, size = self._clock_us(), taken.taken_bytes
        begun = refused(
            taken.error,
            given.first,
            taken.head,
            date_s=now // 1_000_000,
            taken_bytes=given.size_bytes if size is None else size,
            close=size is None or (given.ended and size == given.size_bytes),
        )
        self._note(begun, where, taken.head, event.peer, now)
        return self._begin(event, start, where, begun)

    async def _run(self, taken: Taken, event: Event, where: Where) -> Begun:
        began = self._clock_us()
        if event.other_store and taken.head.method not in SAFE_METHODS and not taken.terms.repeatable:
            self.other_ledger += 1
            raise OtherLedger(_ELSEWHERE % store_name(self._ledger.store_id))
        close = taken.given.ended and taken.size_bytes == taken.given.size_bytes
        moment = Moment(began, where[1], self._entropy(SEED_BYTES))
        begun = await self._beginner.begin(Turn(taken, where[0], event.peer, moment, close))
        if isinstance(begun.what, Live):
            await _something_of(begun.what)
        self._note(begun, where, taken.head, event.peer, began)
        return begun

    def _note(self, begun: Begun, where: Where, head: Head | None, peer: str, began: int) -> None:
        weight = begun.what.response.inline_bytes if isinstance(begun.what, Plain) else 0
        self._begun.put(where, begun, weight + _OVERHEAD)
        self.statuses[begun.status] += 1
        took = max(self._clock_us() - began, 0)
        self._tell(
            Answered(
                head=head, peer=peer, status=begun.status, body_bytes=begun.body_bytes, began_us=began, took_us=took,
                resumed=False,
            )
        )  # fmt: skip

    def _begin(self, event: Event, start: int, where: Where, begun: Begun) -> Reply:
        behind = event.input_stop if begun.last else where[1] + begun.taken_bytes
        what = begun.what
        if isinstance(what, Live):
            return self._streams.begin(event, start, (where[0], behind), what)
        self._states.put(what.state, what.response, what.response.inline_bytes + _OVERHEAD)
        try:
            return what.begin(event, start, behind, self._application.read)
        except ContentNotHere:  # replaced since it was planned from: whoever asks again gets what is there then
            self._begun.drop(where)
            raise

    def _tell(self, answered: Answered) -> None:
        try:
            self._observe(answered)
        except Exception as error:  # noqa: BLE001 - a log that cannot be written is no reason to fail a request
            self._report(error)

    def _report(self, error: Exception) -> None:
        self._on_error(error)


async def _something_of(live: Live) -> None:
    """Wait a moment for the first bytes; cancelled meanwhile, nobody is there to take any."""
    production = live.production
    try:
        await asyncio.sleep(0)
        if not production.tape.stop and not production.over:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_S):
                    await production.news()
    except asyncio.CancelledError:
        production.close()
        raise


def _is_incoming(event: Event) -> bool:
    return bool(event.input or event.input_end or event.spooled or event.input_lost)


def _clipped(start: int, data: bytes, event: Event) -> tuple[tuple[int, bytes], ...]:
    """What is wanted of a few bytes at `start`."""
    found = [(max(low, start), min(high, start + len(data))) for low, high in event.wants]
    return tuple((low, data[low - start : high - start]) for low, high in found if low < high)
