"""The end of a replica: unsafe requests go on to theirs, safe ones move, and nothing more begins."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.origins import body, event, get, output, status
from tests.support.programs import Fleet, asked, begun, replied, settled, with_fleet
from tests.support.taps import POST, Tap, beyond, content
from tests.support.waiting import Waiting
from trickles.service import Refusal, Reply
from trickleweb import App, Request
from trickleweb.server import HttpService, drain


@pytest.fixture(autouse=True)
def quickly_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "QUIET_S", 0.0)


class Slow(Waiting):
    """Notes the methods of the requests that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    async def answer(self, request: Request) -> str:
        self.ran.append(request.method)
        await self.go_on.wait()
        return request.method

    def pieces(self) -> Iterator[bytes]:
        yield b"first"
        yield b"second"


async def ending(origin: HttpService) -> asyncio.Task[None]:
    over = asyncio.create_task(origin.drain())
    await settled()
    return over


def test_an_unsafe_request_runs_to_its_end_and_a_safe_one_moves() -> None:
    async def test(fleet: Fleet) -> None:
        slow = Slow()
        fleet.make = slow.app
        first, second = fleet.two()
        unsafe, safe = first.handle(event(POST)), first.handle(event(get())._replace(connection=b"safe" * 8))
        await settled()
        over = await ending(first)
        assert (await replied(safe)).refusal is Refusal.BUSY
        assert not over.done()
        slow.go_on.set()
        response = output(await replied(unsafe))
        await over
        assert (status(response), body(response)) == (200, b"POST")
        assert output(await asked(second, event(POST))) == response
        assert sorted(slow.ran) == ["GET", "POST"]

    with_fleet(App, test)


@pytest.mark.parametrize("request_bytes", [POST, get(), get("/stream")], ids=["POST", "GET", "a stream"])
def test_nothing_more_begins(request_bytes: bytes) -> None:
    async def test(fleet: Fleet) -> None:
        slow = Slow()
        fleet.make = slow.app
        origin = fleet.replica()
        origin.handle(event(POST))
        await settled()
        over = await ending(origin)
        more = event(request_bytes)._replace(connection=b"more" * 8)
        assert await asked(origin, more) == Reply(refusal=Refusal.ENDING)
        assert await asked(origin, more._replace(early=True)) == Reply()
        slow.go_on.set()
        await over
        assert slow.ran == ["POST"]

    with_fleet(App, test)


def test_a_stream_goes_on_at_another_replica() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.make = Slow().app
        first, second = fleet.two()
        response, known = await begun(first, get("/stream"))
        await ending(first)
        assert await asked(first, beyond(known)) == Reply(refusal=Refusal.ENDING)
        while known.more:
            reply = await asked(second, beyond(known))
            assert reply.continuation is not None
            response, known = response + output(reply), reply.continuation
        assert content(response) == b"firstsecond"

    with_fleet(App, test)


def test_a_response_that_is_stored_goes_on_and_is_sent() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        origin = fleet.replica()
        tap.give(b"one")
        response, known = await begun(origin, POST)
        over = await ending(origin)
        for piece in (b"two", b"three", None):
            waiting = origin.handle(beyond(known))
            tap.give(piece)
            reply = await replied(waiting)
            assert reply.continuation is not None
            assert not (over.done() and piece)
            response, known = response + output(reply), reply.continuation
        await over
        assert content(response) == b"onetwothree"
        assert (tap.ran, tap.closed) == (1, True)

    with_fleet(App, test)


def test_a_replica_that_only_waits_for_another_one_does_not_wait_to_end() -> None:
    async def test(fleet: Fleet) -> None:
        slow = Slow()
        fleet.make = slow.app
        first, second = fleet.two()
        at_work = first.handle(event(POST))
        await settled()
        waiting = second.handle(event(POST))
        await settled()
        await second.drain()
        assert await replied(waiting) == Reply(refusal=Refusal.ENDING)
        slow.go_on.set()
        assert status(output(await replied(at_work))) == 200

    with_fleet(App, test)


def test_the_last_response_is_sent_until_its_client_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap(byte_count=6)
        fleet.make = lambda: tap.app
        origin = fleet.replica()
        tap.give(b"onetwo", None)
        response, known = await begun(origin, POST)
        monkeypatch.setattr(drain, "QUIET_S", 3600.0)
        over = await ending(origin)
        again = await asked(origin, event(b"", known, (known.start, known.start + len(response))))
        assert output(again) == response
        assert not over.done()
        over.cancel()

    with_fleet(App, test)


def test_a_replica_without_unsafe_work_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(fleet: Fleet) -> None:
        fleet.make = Slow().app
        origin = fleet.replica()
        await begun(origin, get("/stream"))
        monkeypatch.setattr(drain, "QUIET_S", 3600.0)
        await origin.drain()

    with_fleet(App, test)
