"""Responses to unsafe requests, stored while they are made: sent at once, by any replica, to the last stored byte."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.origins import body, event, get, output, status
from tests.support.programs import Fleet, asked, begun, fetched, replied, settled, with_fleet
from tests.support.taps import LARGE, POST, Tap, always_returning, beyond, content
from trickles.service import Refusal, Reply
from trickleweb import App
from trickleweb.errors import ResponseStoreFull, ResponseStoreUnavailable
from trickleweb.plain import StateTooLarge
from trickleweb.response_store import Growth, ResponseBounds
from trickleweb.server import HttpService
from trickleweb.server.limits import ServerLimits
from trickleweb.server.stored import Blocks, StoredResponse
from trickleweb.server.tokens.stored import StoredToken
from trickleweb.stores import MemoryResponses, SharedResponses
from trickleweb.stores.memory_responses import _Writer


def test_pieces_are_sent_as_they_are_made_and_by_any_replica() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        first, second = fleet.two()
        tap.give(b"one")
        response, known = await begun(first, POST)
        assert (status(response), content(response), known.more) == (200, b"one", True)
        waiting = [replied(each.handle(beyond(known))) for each in (first, second)]
        tap.give(b"two")
        for reply in await asyncio.gather(*waiting):
            assert output(reply) == b"3\r\ntwo\r\n"
            assert reply.continuation is not None
            assert (reply.continuation.start, reply.continuation.more) == (known.stop, True)
        later = await asked(fleet.replica(), event(POST))
        assert later.continuation is not None
        assert content(output(later)) == b"onetwo"
        tap.give(None)
        end = await asked(second, beyond(later.continuation))
        assert output(end) == b"0\r\n\r\n"
        while end.continuation is not None and end.continuation.more:
            end = await asked(second, beyond(end.continuation))
        assert end.continuation is not None
        assert tap.ran == 1

    with_fleet(App, test)


def test_the_end_of_a_response_is_never_out_of_reach_of_its_client() -> None:
    """An empty last range offered before all was requested would leave its client without the end."""

    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        replica, other = fleet.two()
        tap.give(b"one")
        response, known = await begun(replica, b"POST / HTTP/1.0\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n")
        assert (body(response), known.more) == (b"one", True)
        tap.give(None)
        await settled()
        assert known.stop is not None
        for each in (replica, other):
            early = await asked(each, event(b"", known, (known.start, known.stop - 1)))
            assert early.continuation is None
            rest = await asked(each, event(b"", known, (known.stop - 1, known.stop)))
            assert (output(rest), rest.end) == (b"e", known.stop)
            last = await asked(each, beyond(known))
            assert last.continuation is not None
            assert (last.continuation.stop, last.continuation.more, last.end) == (known.stop, False, known.stop)

    with_fleet(App, test)


def test_a_replica_that_has_not_looked_since_the_end_was_stored_takes_it_from_the_continuation() -> None:
    token = StoredToken(bytes(16), 200, len(b"head"), last=True, at=0)
    response = StoredResponse(token, b"head", Blocks())
    response.grew(b"one", 3, Growth.OPEN)
    growing = response.first(100, 0)
    assert growing.more
    last = growing._replace(more=False)
    for known, end in ((growing, None), (last, 107)):
        reply = response.reply(event(b"", known, (106, 107)), known, token, None)
        assert isinstance(reply, Reply)
        assert (output(reply), reply.end) == (b"e", end)


def test_a_cut_response_is_delivered_to_its_last_stored_byte_and_then_ends_with_an_error() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap(byte_count=1000)
        fleet.make = lambda: tap.app
        first, second = fleet.two()
        tap.give(b"one")
        response, known = await begun(first, POST)
        waiting = asyncio.ensure_future(replied(second.handle(beyond(known))))
        await settled()
        await first.close()
        assert await waiting == Reply(refusal=Refusal.GONE)
        assert tap.closed
        again = await asked(second, event(POST))
        assert again.continuation is not None
        assert output(again) == response
        assert again.continuation.more
        assert await asked(second, beyond(again.continuation)) == Reply(refusal=Refusal.GONE)
        assert tap.ran == 1

    with_fleet(App, test)


def test_a_program_that_fails_in_the_middle_cuts_its_response_and_is_reported_once() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        tap.give(b"one", b"two", ZeroDivisionError("oops"))
        first, second = fleet.two()
        response, known = await begun(first, POST)
        while content(response) != b"onetwo":
            reply = await asked(second, beyond(known))
            assert reply.continuation is not None
            response, known = response + output(reply), reply.continuation
        for each in (first, second):
            assert await asked(each, beyond(known)) == Reply(refusal=Refusal.GONE)
        assert [str(each) for each in fleet.errors] == ["oops"]

    with_fleet(App, test)


@pytest.mark.parametrize("alternating", [False, True])
def test_a_large_response_arrives_from_replicas_that_remember_nothing(alternating: bool) -> None:
    async def test(fleet: Fleet) -> None:
        app = always_returning(LARGE)
        fleet.make = lambda: app
        replicas = fleet.two()

        def pick(turn: int) -> HttpService:
            origin = replicas[turn % 2 if alternating else min(turn, 1)]
            origin.drop_caches()
            return origin

        response, known = await fetched(pick, POST, budget=100_000)
        assert body(response) == LARGE
        assert b"Content-Length: %d\r\n" % len(LARGE) in response
        assert not known.more

    with_fleet(App, test)


def test_the_next_request_is_answered_after_a_stored_response() -> None:
    async def test(fleet: Fleet) -> None:
        app = always_returning(LARGE, b"next")
        fleet.make = lambda: app
        first, second = fleet.two()
        _, known = await fetched(lambda _: first, POST)
        response, _ = await begun(second, POST, known)
        assert body(response) == b"next"

    with_fleet(App, test)


def test_the_connection_ends_after_a_stored_response_that_closes_it() -> None:
    async def test(fleet: Fleet) -> None:
        app = always_returning(LARGE)
        fleet.make = lambda: app
        origin = fleet.replica()
        request = get("/", "Content-Length: 0", "Connection: close", method="POST")
        response, known = await fetched(lambda _: origin, request)
        end = await asked(fleet.replica(), event(b"", known, (known.start, known.start + 10)))
        assert (len(body(response)), end.end) == (len(LARGE), known.stop)

    with_fleet(App, test)


@pytest.mark.parametrize(("bounds", "code"), [({"most_total_bytes": 0}, 507), ({"most_responses": 0}, 507)])
def test_without_room_for_a_response_the_program_is_not_run(bounds: dict[str, int], code: int) -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        fleet.responses = SharedResponses(ResponseBounds(**bounds))
        response, _ = await begun(fleet.replica(), POST)
        assert (status(response), tap.ran) == (code, 0)
        assert b"Retry-After: 1\r\n" in response
        assert b"nothing was done" in body(response)
        assert isinstance(fleet.errors[0], ResponseStoreFull)
        fleet.responses = SharedResponses()
        assert status((await begun(fleet.replica(), POST))[0]) == code, "as it was answered before"

    with_fleet(App, test)


def test_without_a_store_the_program_is_not_run() -> None:
    async def unavailable(_self: MemoryResponses, *, client: bytes) -> _Writer:
        raise ResponseStoreUnavailable(f"none for {client.hex()}")

    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        response, _ = await begun(fleet.replica(), POST)
        assert (status(response), tap.ran) == (503, 0)
        assert b"nothing was done" in body(response)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryResponses, "begin", unavailable)
        with_fleet(App, test)


def test_a_store_that_fails_after_the_program_ran_is_a_500_and_the_program_is_not_run_again() -> None:
    async def full(_self: _Writer, _head: bytes) -> None:
        raise ResponseStoreFull("no room")

    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        for origin in fleet.two():
            response, _ = await begun(origin, POST)
            assert (status(response), tap.ran) == (500, 1)
            assert b"too large to be stored" in body(response)
        assert fleet.responses.stored == {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Writer, "start", full)
        with_fleet(App, test)


def test_small_responses_leave_nothing_in_the_store() -> None:
    async def test(fleet: Fleet) -> None:
        app = always_returning(b"small")
        fleet.make = lambda: app
        response, _ = await begun(fleet.replica(), POST)
        assert body(response) == b"small"
        assert fleet.responses.stored == {}

    with_fleet(App, test)


def test_a_response_that_exceeds_its_bound_is_cut_or_refused_if_that_is_known() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        tap.give(bytes(8_000), bytes(8_000))
        response, known = await begun(fleet.replica(), POST)
        assert content(response) == bytes(8_000)
        assert await asked(fleet.replica(), beyond(known)) == Reply(refusal=Refusal.GONE)
        assert isinstance(fleet.errors.pop(), StateTooLarge)
        large = always_returning(bytes(2_000_000))
        fleet.make = lambda: large
        refused = await asked(fleet.replica(), event(POST)._replace(connection=b"87654321"))
        assert status(output(refused)) == 500
        assert isinstance(fleet.errors.pop(), StateTooLarge)

    with_fleet(App, test, server_limits=ServerLimits(response_bytes=10_000))


def test_a_response_that_is_not_in_the_store_may_be_elsewhere() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        tap.give(b"one")
        _, known = await begun(fleet.replica(), POST)
        fleet.responses.stored.clear()
        assert await asked(fleet.replica(), beyond(known)) == Reply(refusal=Refusal.NOT_HERE)

    with_fleet(App, test)


def test_too_many_requests_that_wait_for_one_response_are_asked_to_come_again() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        origin = fleet.replica()
        tap.give(b"one")
        _, known = await begun(origin, POST)
        waiting = [asyncio.ensure_future(replied(origin.handle(beyond(known)))) for _ in range(64)]
        await settled()
        assert await asked(origin, beyond(known)) == Reply(refusal=Refusal.BUSY)
        tap.give(None)
        assert {output(each) for each in await asyncio.gather(*waiting)} == {b"0\r\n\r\n"}

    with_fleet(App, test)
