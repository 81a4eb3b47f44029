"""The life of a gateway process: it gets ready, serves, gives way to a successor or ends, each on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trickles.drivers.addresses import shown
from trickles.gateway.handover import Control, Predecessor
from trickles.gateway.serving import Gateway, Place
from trickles.gateway.successor import Successor

Beside = Callable[[], Coroutine[Any, Any, None]]
DRAIN_LOOKS = 0.25  # seconds between looks at whether the last connection has ended


@dataclass(frozen=True, slots=True)
class Handover:
    """How gateways follow each other: where a successor asks, whether this is one, and how long it then stays."""

    control: Path
    takeover: bool = False
    drain: float = 600.0  # seconds for connections that are open when a successor has taken over


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What is called when: `tick` at once and then every second or so, `reload` on SIGHUP, `left` once it gave way."""

    ready: Callable[[list[str]], None]
    tick: Callable[[], None] = lambda: None
    reload: Callable[[], None] | None = None
    left: Callable[[], None] = lambda: None


class Life:
    """One gateway's; `end_with` is a process whose end ends it."""

    def __init__(
        self,
        gateway: Gateway,
        events: Events,
        *,
        handover: Handover | None = None,
        beside: Sequence[Beside] = (),
        end_with: int | None = None,
        every: float = 1.0,
    ) -> None:
        self._gateway = gateway
        self._events = events
        self._handover = handover
        self._beside = beside
        self._end_with = end_with
        self._every = every
        self._stop = asyncio.Event()
        self._control: Control | None = None
        self._successor = Successor(self._tell)

    async def serve(self, listen: Sequence[Place]) -> None:
        """Listen, say so, and serve until SIGTERM or SIGINT, or until a successor has taken over and all have ended.

        OSError as bind(2) does, HandoverError when there is nobody to take over from. What is `beside` runs as long.
        What breaks inside is reported as the gateway's own.
        """
        loop, tasks = asyncio.get_running_loop(), list[asyncio.Task[None]]()
        loop.set_exception_handler(lambda _, context: self._gateway.broke(context))
        try:
            self._heed_signals(loop)
            await self._begin(listen)
            tasks += [loop.create_task(each()) for each in self._beside]
            for task in tasks:
                task.add_done_callback(self._ended)
            if await self._until_succeeded():
                await self._drain(self._handover.drain if self._handover else 0.0)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._successor.forget()
            if self._control is not None:
                self._control.close()
            await self._gateway.close()

    def _heed_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if self._events.reload is not None:
            loop.add_signal_handler(signal.SIGHUP, self._events.reload)
        if self._handover is not None:
            loop.add_signal_handler(signal.SIGUSR2, self._successor.start)
        if self._end_with is not None:
            watched = os.pidfd_open(self._end_with)
            loop.add_reader(watched, self._stop.set)

    async def _begin(self, listen: Sequence[Place]) -> None:
        handover = self._handover
        predecessor = Predecessor(handover.control) if handover is not None and handover.takeover else None
        bound = [text for place in listen for text in await self._listening(place, predecessor)]
        if handover is not None:
            self._control = Control(handover.control, self._gateway.offer, report=self._tell)
        self._events.ready(bound)
        if predecessor is not None:
            predecessor.relieve()

    async def _listening(self, place: Place, predecessor: Predecessor | None) -> list[str]:
        inherited = predecessor.take(place.name) if predecessor is not None else []
        bound = await self._gateway.listen(place.host, place.port, place.accept, mode=place.mode, inherited=inherited)
        return [("" if place.mode == "forward" else f"{place.mode}@") + shown(address) for address in bound]

    async def _until_succeeded(self) -> bool:
        """Serve; whether it was a successor that ended it, not a signal."""
        loop = asyncio.get_running_loop()
        stopped = loop.create_task(self._stop.wait())
        waiting: set[asyncio.Task[Any]] = {stopped}
        if self._control is not None:
            waiting.add(loop.create_task(self._control.succeeded()))
        try:
            while True:
                self._events.tick()
                done, _ = await asyncio.wait(waiting, timeout=self._every, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    return stopped not in done
        finally:
            for task in waiting:
                task.cancel()

    async def _drain(self, seconds: float) -> None:
        """A successor accepts: wait until the last connection has ended, but not for ever."""
        self._successor.forget()
        if self._control is not None:
            self._control.close()
        self._events.left()
        await self._gateway.retire()
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._gateway.live and not self._stop.is_set() and loop.time() < end:
            self._events.tick()
            try:
                await asyncio.wait_for(self._stop.wait(), DRAIN_LOOKS)
            except TimeoutError:
                continue

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._gateway.broke({"message": "it does not go on", "exception": error})

    def _tell(self, text: str) -> None:
        self._gateway.broke({"message": text})
