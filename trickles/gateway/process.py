"""A gateway's process: start, service, handover to a successor and end, controlled by signals."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trickles.drivers.addresses import shown
from trickles.drivers.keeping import kept_going
from trickles.gateway import migration
from trickles.gateway.handover import Control, Predecessor, ReadySuccessor, SuccessorProcess
from trickles.gateway.server import Gateway, ListenAddress

Background = tuple[str, Callable[[], Coroutine[Any, Any, None]]]  # a name, and work during the gateway's life
_NO_SUCCESSOR = "no successor: it needs --control or --pid-file to take over the sockets"
TICK_SECONDS = 1.0
DRAIN_LOOKS = 0.25  # seconds between checks for the end of the last connection


@dataclass(frozen=True, slots=True)
class Handover:
    """Settings of handover: the control socket, whether to take over from a running gateway, and the time to drain."""

    control: Path
    takeover: bool = False
    drain: float = 600.0  # seconds for open connections once a successor has taken over


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Callbacks: `tick` at once and then about every second, `reload` on SIGHUP, `left` after a handover."""

    ready: Callable[[list[str]], None]
    tick: Callable[[], None] = lambda: None
    reload: Callable[[], None] | None = None
    left: Callable[[], None] = lambda: None


class GatewayProcess:
    """Runs one gateway, at most as long as the process `end_with`."""

    def __init__(
        self,
        gateway: Gateway,
        events: Events,
        *,
        handover: Handover | None = None,
        background: Sequence[Background] = (),
        end_with: int | None = None,
    ) -> None:
        self._gateway = gateway
        self._events = events
        self._handover = handover
        self._background = background
        self._end_with = end_with
        self._stop = asyncio.Event()
        self._retired = False
        self._control: Control | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._successor_process = SuccessorProcess(self._report)

    async def serve(self, listen: Sequence[ListenAddress]) -> None:
        """Listen, call `ready`, and serve until SIGTERM or SIGINT; after a handover or SIGUSR1, until no connection is
        left.

        OSError as bind(2) does, HandoverError when there is no gateway to take over from. Background work is begun
        again when it fails. Unexpected exceptions are reported as the gateway's own.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._gateway.broke(context))
        try:
            self._heed_signals(loop)
            await self._begin(listen)
            for name, work in self._background:
                self._begin_background(kept_going(name, work, self._report))
            if (successor := await self._until_succeeded()) is not None:
                with successor.sock:
                    await self._drain(successor, self._handover.drain if self._handover else 0.0)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._successor_process.forget()
            if self._control is not None:
                self._control.close()
            await self._gateway.close()

    def _heed_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGUSR1, self._retire)
        if self._events.reload is not None:
            loop.add_signal_handler(signal.SIGHUP, self._events.reload)
        if self._handover is not None:
            loop.add_signal_handler(signal.SIGUSR2, self._successor_process.start)
        else:
            loop.add_signal_handler(signal.SIGUSR2, self._report, _NO_SUCCESSOR)
        if self._end_with is not None:
            watched = os.pidfd_open(self._end_with)
            loop.add_reader(watched, self._stop.set)

    def _retire(self) -> None:
        """Accept no more connections, and end with the last one."""
        if not self._retired:
            self._retired = True
            self._begin_background(self._gateway.retire())

    async def _begin(self, listen: Sequence[ListenAddress]) -> None:
        handover = self._handover
        predecessor = Predecessor(handover.control) if handover is not None and handover.takeover else None
        bound = [text for place in listen for text in await self._listening(place, predecessor)]
        if handover is not None:
            self._control = Control(handover.control, self._gateway.offer, report=self._report)
        self._events.ready(bound)
        if predecessor is not None:
            connected = predecessor.relieve(migration.mark(self._gateway.dialer))
            if self._gateway.dialer is None:
                connected.close()
            else:
                self._begin_background(migration.received(connected, self._gateway.dialer, self._gateway.adopt))

    async def _listening(self, place: ListenAddress, predecessor: Predecessor | None) -> list[str]:
        inherited = predecessor.take(place.name) if predecessor is not None else []
        bound = await self._gateway.listen(place.host, place.port, place.begin, mode=place.mode, inherited=inherited)
        return [("" if place.mode == "forward" else f"{place.mode}@") + shown(address) for address in bound]

    async def _until_succeeded(self) -> ReadySuccessor | None:
        """Serve; return the successor that ended this, or None after a signal and once it has retired."""
        loop = asyncio.get_running_loop()
        waiting: set[asyncio.Task[Any]] = {loop.create_task(self._stop.wait())}
        succeeded: asyncio.Task[ReadySuccessor] | None = None
        if self._control is not None:
            succeeded = loop.create_task(self._control.succeeded())
            waiting.add(succeeded)
        try:
            while True:
                self._events.tick()
                done, _ = await asyncio.wait(waiting, timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if self._retired and not self._gateway.live:
                    return None
                if done:
                    return succeeded.result() if succeeded in done and succeeded is not None else None
        finally:
            for task in waiting:
                task.cancel()

    async def _drain(self, successor: ReadySuccessor, seconds: float) -> None:
        """Move connections to the successor, and wait for a while for the others to end."""
        self._successor_process.forget()
        if self._control is not None:
            self._control.close()
        self._events.left()
        await self._gateway.retire()
        loop = asyncio.get_running_loop()
        end, moves = loop.time() + seconds, successor.mark == migration.mark(self._gateway.dialer) != migration.NO_MARK
        while self._gateway.live and not self._stop.is_set() and loop.time() < end:
            self._events.tick()
            if moves and not (moves := await self._move(successor)):
                self._gateway.stay()
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_LOOKS):
                    await self._stop.wait()

    async def _move(self, successor: ReadySuccessor) -> bool:
        """Move connections that are ready; return False when no more can be moved."""
        try:
            for member in self._gateway.leaving():
                if not self._stop.is_set() and not await migration.moved(member, successor.sock):
                    return False  # refused: the others are drained
        except OSError as error:
            self._report(f"connections stay here: {error.strerror or 'the successor takes too long'}")
            return False
        return True

    def _begin_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._gateway.broke({"message": "background work ended", "exception": error})

    def _report(self, text: str) -> None:
        self._gateway.broke({"message": text})
