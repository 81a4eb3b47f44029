"""Replicas of an application without a network: events in, replies out, on an event loop whose time tests may move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.support.fleetkeys import ring
from tests.support.origins import event, output
from trickles.service import Continuation, Deferred, Event, Reply
from trickleweb.application import Application
from trickleweb.ledger import Ledger
from trickleweb.limits import DEFAULT_LIMITS, Limits
from trickleweb.response_store import Pages
from trickleweb.server import Answered, FleetResources, HttpService
from trickleweb.server.limits import DEFAULT_SERVER_LIMITS, ServerLimits, ServiceLimits, StreamLimits
from trickleweb.stores import MemoryLedger, MemoryPages, MemoryResponses, SharedMemory, SharedResponses

T = TypeVar("T")
NOW_US = 1_700_000_000_000_000
PATIENCE_S = 20
FIRST_S = 0.5  # a stream's first bytes come with its head however busy the machine is


FIRST_WITH_HEAD = StreamLimits(first_seconds=FIRST_S)


def on_loop(test: Coroutine[Any, Any, T]) -> T:
    """What a test gives, on a loop of its own; all that it left behind there is an error."""

    async def patiently() -> T:
        loop, wrong = asyncio.get_running_loop(), list[object]()
        loop.set_exception_handler(lambda _, context: wrong.append(context))
        result = await test
        await settled()
        if closing := asyncio.all_tasks() - {asyncio.current_task()}:  # in threads that take their time
            await asyncio.wait(closing, timeout=PATIENCE_S)
        assert not wrong, wrong
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    return asyncio.run(patiently())


def short_ranges(size: int = 30_000) -> StreamLimits:
    """Let streams be made in ranges of that many bytes at most."""
    return StreamLimits(first_seconds=FIRST_S, ahead_bytes=size)


def pass_time(seconds: float) -> None:
    """Let the loop's clock jump ahead."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]


async def settled(turns: int = 20) -> None:
    """Let everything run that can."""
    for _ in range(turns):
        await asyncio.sleep(0)


@dataclass(slots=True)
class Fleet:
    """Replicas that share a ledger; entropy is counted, so that equal requests on two replicas differ in it."""

    make: Callable[[], Application]
    limits: Limits = DEFAULT_LIMITS
    server_limits: ServerLimits = DEFAULT_SERVER_LIMITS
    stream_limits: StreamLimits = FIRST_WITH_HEAD
    memory: SharedMemory = field(default_factory=SharedMemory)
    pages: Pages = field(default_factory=MemoryPages)
    responses: SharedResponses = field(default_factory=SharedResponses)
    errors: list[Exception] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    replicas: list[HttpService] = field(default_factory=list)
    now_us: int = NOW_US
    drawn: int = 0

    def replica(self, ledger: Ledger | None = None) -> HttpService:
        """Another replica, with nothing in it."""
        origin = HttpService(
            self.make(),
            clock_us=lambda: self.now_us,
            resources=FleetResources(
                ring,
                ledger or MemoryLedger(self.memory, f"replica {len(self.replicas)}"),
                MemoryResponses(self.responses),
                self.pages,
                self._entropy,
            ),
            limits=ServiceLimits(request=self.limits, server=self.server_limits, streams=self.stream_limits),
            observe=self.answered.append,
        )
        origin.report_errors(self.errors.append)
        self.replicas.append(origin)
        return origin

    def two(self) -> tuple[HttpService, HttpService]:
        """Two of them."""
        return self.replica(), self.replica()

    async def close(self) -> None:
        """End them all."""
        for each in self.replicas:
            await each.close()

    def _entropy(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")


def with_fleet(make: Callable[[], Application], test: Callable[[Fleet], Coroutine[Any, Any, T]], **options: Any) -> T:
    """Run a test with a fleet, which is closed behind it."""

    async def tested() -> T:
        fleet = Fleet(make, **options)
        try:
            return await test(fleet)
        finally:
            await fleet.close()

    return on_loop(tested())


async def replied(made: Reply | Deferred) -> Reply:
    """The reply, now or when it comes."""
    if isinstance(made, Reply):
        return made
    future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    made.then(lambda reply: None if future.done() else future.set_result(reply))
    return await future


async def asked(origin: HttpService, what: Event) -> Reply:
    """The reply to an event."""
    return await replied(origin.handle(what))


def always(origin: HttpService) -> Callable[[int], HttpService]:
    """The same replica answers everything."""
    return lambda _: origin


async def begun(
    origin: HttpService, request: bytes, known: Continuation | None = None, *, end: bool = False, budget: int = 1 << 30
) -> tuple[bytes, Continuation]:
    """What comes with the beginning of the response to a request, and its continuation."""
    reply = await asked(origin, event(request, known, end=end, budget=budget))
    assert reply.continuation is not None, reply
    return output(reply), reply.continuation


async def fetched(
    pick: Callable[[int], HttpService], request: bytes, *, known: Continuation | None = None, budget: int = 50_000
) -> tuple[bytes, Continuation]:
    """A whole response, of which `pick(n)` answers the n-th request; and the last continuation.

    As a client does it keeps the continuations of what it has not got, and asks on behind the newest.
    """
    start = known.stop if known is not None else 0
    assert start is not None
    data, newest = await begun(pick(0), request, known, budget=budget)
    frames, turn = [newest], 0
    while (at := start + len(data)) < (frames[-1].stop or 0) or frames[-1].more:
        turn += 1
        using = next((each for each in frames if each.stop is None or at < each.stop), frames[-1])
        reply = await asked(pick(turn), event(b"", using, (at, at + budget), budget=budget))
        got = output(reply)
        assert not got or reply.chunks[0][0] == at
        data += got
        if reply.continuation is not None and reply.continuation.start > frames[-1].start:
            assert reply.continuation.start == frames[-1].stop
            frames.append(reply.continuation)
    return data, frames[-1]
