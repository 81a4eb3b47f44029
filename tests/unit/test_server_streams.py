"""Streamed responses: vouched for before a byte goes out, gone on with by others, waited for, and never spliced."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.offered import LONG, offered, only_streaming
from tests.support.origins import body, event, get, output, status
from tests.support.programs import (
    Fleet,
    always,
    asked,
    begun,
    fetched,
    pass_time,
    replied,
    settled,
    short_ranges,
    with_fleet,
)
from trickles.service import Continuation, Deferred, Refusal, Reply
from trickleweb import App, Response
from trickleweb.bodies import Streamed
from trickleweb.http1 import decode_chunked
from trickleweb.server import HttpService
from trickleweb.server.limits import DEFAULT_STREAM_LIMITS as BOUNDS
from trickleweb.server.limits import ServerLimits, StreamLimits
from trickleweb.server.tokens import decode_untrusted
from trickleweb.server.tokens.ranges import VerifiedRange


async def rest(origin: HttpService, known: Continuation) -> Reply:
    """What lies behind a continuation."""
    assert known.stop is not None
    return await asked(origin, event(b"", known, (known.stop, known.stop + 50_000), budget=50_000))


def test_an_empty_last_range_is_given_only_to_a_client_that_asks_for_it() -> None:
    async def test(fleet: Fleet) -> None:
        app, gate = App(), asyncio.Event()

        async def waiting() -> AsyncIterator[bytes]:
            yield b"one"
            await gate.wait()

        app.get("/")(lambda _: Response(200, body=Streamed(waiting(), 3)))
        fleet.make = lambda: app
        first, second = fleet.two()
        response, known = await begun(first, get("/", "Connection: close"))
        assert (body(response), known.more) == (b"one", True)
        gate.set()
        await settled()
        assert known.stop is not None
        for each in (first, second):
            early = await asked(each, event(b"", known, (known.start, known.stop - 1)))
            assert early.continuation is None
            last = await asked(each, event(b"", known, (known.stop, known.stop + 100)))
            assert last.continuation is not None
            assert (last.continuation.stop, last.continuation.more, last.end) == (known.stop, False, known.stop)

    with_fleet(App, test)


def test_what_was_vouched_for_before_a_failure_is_all_there_is() -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get("/failing"))
        assert known.more
        assert b"".join(decode_chunked(body(response)).pieces) == LONG[:100_000]
        for origin in (first, second):
            assert output(await asked(origin, event(b"", known, (500, 90_000)))) == response[500:90_000]
            assert await rest(origin, known) == Reply(refusal=Refusal.GONE)
        assert {type(each) for each in fleet.errors} == {ZeroDivisionError}

    with_fleet(offered, test)


@pytest.mark.parametrize("told", [90_000, 110_000])
def test_a_length_that_is_not_kept_is_a_failure(told: int) -> None:
    async def some() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(1000)

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        response, known = await begun(origin, get())
        assert len(body(response)) == min(told, 100_000)
        assert known.more
        assert (await rest(origin, known)).refusal is Refusal.GONE
        assert "bytes" in str(fleet.errors[0])

    with_fleet(lambda: only_streaming(some, byte_count=told), test)


def test_who_waits_for_a_slow_stream_is_told_at_once_when_there_is_more() -> None:
    gates = [asyncio.Event() for _ in range(3)]

    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        for number, gate in enumerate(gates):
            await gate.wait()
            yield b"%d" % number

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        response, known = await begun(origin, get())
        assert body(response) == b"5\r\nfirst\r\n"
        for number, gate in enumerate(gates):
            waiting = asyncio.ensure_future(rest(origin, known))
            await settled()
            assert not waiting.done()
            gate.set()
            reply = await waiting
            assert output(reply).startswith(b"1\r\n%d\r\n" % number)
            known = reply.continuation or known
        end = await rest(origin, known) if known.more else reply
        assert output(end).endswith(b"0\r\n\r\n")
        assert end.continuation is not None
        assert not end.continuation.more

    with_fleet(lambda: only_streaming(slow), test)


def test_who_has_waited_long_is_answered_with_nothing_and_asks_again() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        _, known = await begun(origin, get("/silent"))
        for _ in range(5):
            waiting = asyncio.ensure_future(rest(origin, known))
            await settled()
            pass_time(BOUNDS.parked_seconds - 1)
            await settled()
            assert not waiting.done()
            pass_time(1.5)
            assert await waiting == Reply()
            assert origin._exchanges is not None
            live = origin._exchanges._streams._cache.get((b"12345678", known.consumed))
            assert live is not None
            assert (live.parked, live.producer._readers, live.producer._held) == (0, {}, [])

    with_fleet(offered, test)


def test_a_stream_that_nobody_asks_for_is_closed_and_can_be_made_anew() -> None:
    async def test(fleet: Fleet) -> None:
        app = offered()
        fleet.make = lambda: app
        origin = fleet.replica()
        response, known = await begun(origin, get("/silent"))
        pass_time(BOUNDS.idle_seconds + 30)
        await settled()
        assert app.state.closed == ["silent"]
        assert output(await asked(origin, event(b"", known))) == response

    with_fleet(offered, test)


def test_who_waits_while_caches_are_dropped_asks_again() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        _, known = await begun(origin, get("/silent"))
        waiting = asyncio.ensure_future(rest(origin, known))
        await settled()
        origin.drop_caches()
        assert await waiting == Reply(refusal=Refusal.BUSY)
        assert output(await asked(origin, event(b"", known, (0, 20)))) == b"HTTP/1.1 200 OK\r\nCon"

    with_fleet(offered, test)


def test_a_repeated_request_whose_stream_was_closed_is_run_again() -> None:
    async def test(fleet: Fleet) -> None:
        app = offered()
        fleet.make = lambda: app
        origin = fleet.replica()
        first, _ = await begun(origin, get("/stream"))
        pass_time(BOUNDS.idle_seconds + 30)
        await settled()
        again, known = await begun(origin, get("/stream"))
        assert again == first
        assert app.state.ran == ["lines", "lines"]
        assert output(await asked(origin, event(b"", known))) == first

    with_fleet(offered, test)


def test_closing_ends_programs_and_their_streams() -> None:
    async def test(fleet: Fleet) -> None:
        app = offered()
        fleet.make = lambda: app
        origin = fleet.replica()
        _, known = await begun(origin, get("/silent"))
        waiting = asyncio.ensure_future(rest(origin, known))
        await settled()
        before = origin.busy
        await origin.close()
        assert (await waiting).refusal is Refusal.BUSY
        assert app.state.closed == ["silent"]
        assert (before, origin.busy) == (True, False)
        gc.collect()

    with_fleet(offered, test)


def test_too_much_under_way_is_refused_for_now() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        one = [event(get())._replace(connection=bytes([number] * 8)) for number in range(3)]
        running = [origin.handle(each) for each in one]
        assert running[2] == Reply(refusal=Refusal.BUSY)
        assert all([status(output(await replied(each))) == 200 for each in running[:2]])
        _, known = await begun(origin, get("/silent"))
        parked = [origin.handle(event(b"", known, (known.stop or 0, 1 << 20))) for _ in range(3)]
        await settled()
        assert all(isinstance(each, Deferred) for each in parked)
        assert await rest(origin, known) == Reply(refusal=Refusal.BUSY)
        assert status(output(await replied(origin.handle(one[2])))) == 200  # programs run all the same

    few = {"server_limits": ServerLimits(running=2), "stream_limits": StreamLimits(first_seconds=0.5, parked_each=3)}
    with_fleet(offered, test, **few)


def test_requests_of_addresses_that_are_not_proved_leave_half_of_the_places_to_others() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        one = [event(get(), early=True)._replace(connection=bytes([number] * 8)) for number in range(4)]
        made = [origin.handle(each) for each in one]
        assert [isinstance(each, Deferred) for each in made] == [True, True, False, False]
        assert made[2:] == 2 * [Reply()], "ask on by a proved address"
        proved = [origin.handle(each._replace(early=False)) for each in one[2:]]
        for each in (*made[:2], *proved):
            assert status(output(await replied(each))) == 200
        assert isinstance(origin.handle(one[2]._replace(connection=b"another.")), Deferred), "places are free again"

    with_fleet(offered, test, server_limits=ServerLimits(running=4))


def test_one_host_does_not_take_all_places_to_wait_for_streams() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        _, known = await begun(origin, get("/silent"))
        wanted = event(b"", known, (known.stop or 0, 1 << 20))
        parked = [origin.handle(wanted) for _ in range(4)]
        await settled()
        assert await replied(origin.handle(wanted)) == Reply(refusal=Refusal.BUSY)
        elsewhere = [origin.handle(wanted._replace(peer="198.51.100.9")) for _ in range(2)]
        await settled()
        turned_out = [await replied(each) for each in parked[:2]]
        assert turned_out == 2 * [Reply(refusal=Refusal.BUSY)], "the oldest, one for each"
        assert await replied(origin.handle(wanted._replace(peer="198.51.100.9"))) == Reply(refusal=Refusal.BUSY)
        pass_time(BOUNDS.parked_seconds + 1)
        assert [await replied(each) for each in (*parked[2:], *elsewhere)] == 4 * [Reply()]
        assert origin._exchanges is not None
        assert len(origin._exchanges._parking._shares) == 0

    with_fleet(offered, test, stream_limits=StreamLimits(first_seconds=0.5, parked=4))


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/stream", "/rows", "/sync", "/odd"])
def test_caches_may_be_dropped_at_any_moment(path: str) -> None:
    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=3, max_size=20))
    @settings(max_examples=12)
    def check(turns: list[tuple[int, bool, bool]]) -> None:
        async def test(fleet: Fleet) -> None:
            replicas = [fleet.replica() for _ in range(3)]
            alone, _ = await fetched(always(fleet.replica()), get(path))

            def pick(turn: int) -> HttpService:
                index, before, after = turns[turn % len(turns)]
                if before:
                    replicas[index].drop_caches()
                if after:
                    replicas[index - 1].drop_caches()
                return replicas[index]

            assert (await fetched(pick, get(path), budget=40_000))[0] == alone
            assert fleet.errors == []

        with_fleet(offered, test, stream_limits=short_ranges())

    check()


def test_a_log_that_cannot_be_written_fails_no_request() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()

        def full(_answered: object) -> None:
            raise OSError("disk full")

        origin._observer.observe = full
        assert status((await begun(origin, get()))[0]) == 200
        assert [str(each) for each in fleet.errors] == ["disk full"]

    with_fleet(offered, test)


def test_what_others_began_is_told_apart() -> None:
    async def test(fleet: Fleet) -> None:
        second = fleet.replica()
        for path in ("/", "/stream"):
            _, known = await begun(fleet.replica(), get(path))
            await asked(second, event(b"", known))
        assert [(each.resumed, each.status) for each in fleet.answered] == 2 * [(False, 200), (True, 0)]
        assert [each.body_bytes for each in fleet.answered if not each.resumed] == [13, None]
        assert second.statuses == {}

    with_fleet(offered, test)


def test_a_far_stretch_is_caught_up_with_in_little_memory() -> None:
    async def long() -> AsyncIterator[bytes]:
        for number in range(2000):
            yield b"%d " % number * 300

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await fetched(always(first), get(), budget=100_000)
        assert len(response) > 2_000_000
        start = known.start
        reply = await asked(second, event(b"", known, (start, start + 500)))
        assert output(reply) == response[start : start + 500]
        assert second._exchanges is not None
        live = second._exchanges._streams._cache.get((b"12345678", known.consumed))
        assert live is not None
        assert live.producer.buffer.kept_bytes < 600_000
        assert live.producer.buffer.stop > 2_000_000

    limits = StreamLimits(first_seconds=0.5, ahead_bytes=30_000, streams_bytes=1 << 18)
    with_fleet(lambda: only_streaming(long), test, stream_limits=limits)


def test_states_stay_small_and_hold_no_more_of_the_head_than_needed() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        _, known = await begun(origin, get("/rows"))
        later_one = (await rest(origin, known)).continuation
        assert later_one is not None
        assert first_range(known.state)
        assert not first_range(later_one.state)
        assert len(later_one.state) < len(known.state) < 200

    with_fleet(offered, test, stream_limits=short_ranges())


def first_range(state: bytes) -> bool:
    token = decode_untrusted(state)
    assert isinstance(token, VerifiedRange)
    return token.first
