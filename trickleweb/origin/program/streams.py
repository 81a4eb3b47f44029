"""Bodies that are made as they are asked for: from a stretch to its bytes, now or when they are made, or made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from trickles.service import Deferred, Event, Reply
from trickles.shares import NoRoom, Shares
from trickleweb.files.recent import Recent
from trickleweb.origin.answered import Answered, Observe
from trickleweb.origin.program.bounds import MOST_PARKED, MOST_PARKED_EACH, MOST_PARKED_SECONDS
from trickleweb.origin.program.known import Known
from trickleweb.origin.program.later import Busy, Work
from trickleweb.origin.program.live import Live, StreamBroke
from trickleweb.origin.program.lives import Lives
from trickleweb.origin.program.reviving import Reviver
from trickleweb.origin.program.stretch import Stretch
from trickleweb.origin.program.stretch import decode as decode_stretch
from trickleweb.origin.program.taking import Where
from trickleweb.origin.program.tape import TapeCut
from trickleweb.origin.response import NotThisResponse

_STRETCHES = 4096


class Streams:
    """Answers what is asked of stretches. `work` makes responses anew; who waits for one waits apart from that."""

    def __init__(
        self,
        work: Work,
        reviver: Reviver,
        on_error: Callable[[Exception], None],
        observe: Observe,
        clock_us: Callable[[], int],
    ) -> None:
        self._work = work
        self._reviver = reviver
        self._observe = observe
        self._clock_us = clock_us
        self._waiting = Work(MOST_PARKED, on_error)
        self._shares: Shares[object] = Shares(MOST_PARKED)
        self._lives = Lives()
        self._stretches: Recent[bytes, Stretch] = Recent(_STRETCHES)

    def drop_caches(self) -> None:
        """Forget all that can be made anew; who waits for it is told to ask again."""
        self._lives.clear()
        self._stretches.clear()

    @property
    def busy(self) -> bool:
        """Something waits for a stream."""
        return len(self._waiting) > 0

    async def close(self) -> None:
        """End all of it."""
        await self._waiting.close()
        await self._lives.close()

    def begin(self, event: Event, start: int, where: Where, live: Live) -> Reply:
        """The beginning of a response at output offset `start`; `TapeCut` if that was long ago."""
        if live.production.closed:
            raise TapeCut
        if self._lives.get(where) is not live:
            self._lives.put(where, live)
        return live.begin(event, start, where[1])

    def stretch(self, state: bytes) -> Stretch:
        """The stretch of a state; `NotThisResponse` for bytes of another release."""
        stretch = self._stretches.get(state)
        if stretch is None:
            stretch = decode_stretch(state)
            self._stretches.put(state, stretch)
        return stretch

    def answer(self, event: Event, known: Known) -> Reply | Deferred:
        """What is wanted, under that continuation of a stretch; raises what keeps it from being made here."""
        stretch, where = self.stretch(known.state), (event.connection, known.consumed)
        live = self._lives.get(where)
        if live is not None:
            try:
                return self._from(live, event, known, stretch)
            except (TapeCut, NotThisResponse, StreamBroke) as error:
                self._check_last_word(live, stretch, error)
            self._lives.drop(where)
        name = ("revive", where, stretch.framing)
        reviving = self._work.task(name, lambda: self._revive(stretch, event, where))
        return self._work.reply(reviving, lambda live: self._from(live, event, known, stretch))

    def _from(self, live: Live, event: Event, known: Known, stretch: Stretch) -> Reply | Deferred:
        if live.verify(known, stretch) and live.ready(event, known, stretch):
            return live.answer(event, known, stretch)
        if live.parked >= MOST_PARKED_EACH:
            raise Busy
        parked = self._park(event.peer, lambda: self._parked(live, event, known, stretch))
        return self._waiting.reply(parked, lambda reply: reply)

    def _park(self, host: str, make: Callable[[], Coroutine[Any, Any, Reply]]) -> asyncio.Task[Reply]:
        """Let that wait for a stream; when places run short, one of the host that has most must ask again."""
        name = object()
        try:
            oldest = self._shares.in_the_way(host)
        except NoRoom:
            raise Busy from None
        if oldest is not None:
            self._shares.remove(oldest)
            self._waiting.turn_out(oldest)
        parked = self._waiting.task(name, make)
        self._shares.add(host, name)
        parked.add_done_callback(lambda _: self._shares.remove(name))
        return parked

    async def _revive(self, stretch: Stretch, event: Event, where: Where) -> Live:
        began = self._clock_us()
        live = await self._reviver.stream(stretch, event.connection, event.peer)
        self._lives.put(where, live)
        self._observe(Answered.gone_on_with(event.peer, began, self._clock_us()))
        return live

    async def _parked(self, live: Live, event: Event, known: Known, stretch: Stretch) -> Reply:
        """Wait until there is something to answer with; after a while with nothing, to be asked again."""
        live.parked += 1
        try:
            with suppress(TimeoutError):
                return await self._news(live, event, known, stretch)
            return Reply()
        except (TapeCut, NotThisResponse, StreamBroke) as error:
            self._check_last_word(live, stretch, error)
            where = (event.connection, known.consumed)
            if self._lives.get(where) is live:
                self._lives.drop(where)
            if isinstance(error, StreamBroke):
                raise
            raise Busy from None
        finally:
            live.parked -= 1

    async def _news(self, live: Live, event: Event, known: Known, stretch: Stretch) -> Reply:
        production = live.production
        with production.holding(stretch.at):
            production.want(known.stop - stretch.body_at(known.start))
            async with asyncio.timeout(MOST_PARKED_SECONDS):
                while not (live.verify(known, stretch) and live.ready(event, known, stretch)):
                    await production.news()
        return live.answer(event, known, stretch)

    @staticmethod
    def _check_last_word(live: Live, stretch: Stretch, error: Exception) -> None:
        """Raise what another making of that response would come to as well."""
        if isinstance(error, NotThisResponse) and live.is_last_word(stretch):
            raise error
