"""Streams of which two replicas make other bytes: none of the one is ever put to the other."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from tests.support.offered import only_streaming
from tests.support.origins import body, event, get, output
from tests.support.programs import Fleet, always, asked, begun, fetched, short_ranges, with_fleet
from trickles.service import Refusal, Reply
from trickleweb import App, Request, Response
from trickleweb.bodies import Step


def test_a_program_that_streams_otherwise_each_time_is_never_spliced() -> None:
    makings = count()

    async def making() -> AsyncIterator[bytes]:
        mark = b"%d" % next(makings)
        for _ in range(100):
            yield mark * 1000

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get())
        for wants in ((0, 10), (known.stop or 0, 1 << 30), (200, 1 << 60)):
            assert await asked(second, event(b"", known, wants)) == Reply(refusal=Refusal.NOT_HERE)
        assert next(makings) == 2  # it was run there once, not for each request
        whole, _ = await fetched(always(first), get())
        assert whole.startswith(response)
        assert set(body(whole).replace(b"3e8\r\n", b"").replace(b"\r\n", b"")) == {ord("0")}

    with_fleet(lambda: only_streaming(making), test, stream_limits=short_ranges())


def test_the_first_making_stands_though_the_other_replica_made_its_own() -> None:
    """A hello that is repeated to another replica is answered there too, with another date and other bytes."""
    app = App()

    @app.get("/")
    async def stream(request: Request) -> Response:
        async def some() -> AsyncIterator[bytes]:
            yield b"%d" % request.now
            yield request.entropy("body", 50_000)

        return Response.stream(some())

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get())
        fleet.now_us += 1_000_000
        other, theirs = await begun(second, get())
        assert other != response
        for origin, expected, using in ((second, response, known), (first, other, theirs), (second, other, theirs)):
            assert output(await asked(origin, event(b"", using))) == expected

    with_fleet(lambda: app, test)


def test_a_stream_that_ends_earlier_elsewhere_is_not_here() -> None:
    sizes = iter([80, 40])

    async def some() -> AsyncIterator[bytes]:
        for _ in range(next(sizes)):
            yield bytes(1000)

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        _, known = await begun(first, get())
        assert await asked(second, event(b"", known)) == Reply(refusal=Refusal.NOT_HERE)

    with_fleet(lambda: only_streaming(some), test)


def test_a_stream_that_breaks_off_elsewhere_may_go_on_there_another_time() -> None:
    runs = iter([False, True, False])

    async def some() -> AsyncIterator[bytes]:
        broken = next(runs)
        yield bytes(1000)
        if broken:
            raise ConnectionError("the database is away")
        yield bytes(1000)

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get())
        assert await asked(second, event(b"", known)) == Reply(refusal=Refusal.NOT_HERE)
        assert [str(each) for each in fleet.errors] == ["the database is away"]
        assert output(await asked(second, event(b"", known))) == response

    with_fleet(lambda: only_streaming(some), test)


def test_a_request_answered_otherwise_by_now_is_not_here() -> None:
    answers = iter([Response.stream([b"x" * 99]), Response.text("x"), Response.stream([], status=201)])
    app = App()

    @app.get("/")
    async def answer(request: Request) -> Response:
        return next(answers)

    async def test(fleet: Fleet) -> None:
        _, known = await begun(fleet.replica(), get())
        for _ in range(2):
            assert await asked(fleet.replica(), event(b"", known)) == Reply(refusal=Refusal.NOT_HERE)

    with_fleet(lambda: app, test)


def test_steps_of_another_release_are_refused_or_migrated() -> None:
    def release(version: int, migrate: Any = None) -> App:
        app = App()

        @app.steps("numbers", version=version, migrate=migrate)
        async def numbers(cursor: int) -> AsyncIterator[Step]:
            for number in range(cursor, 40):
                yield b"%d\n" % number * 1000, number + 1

        @app.get("/")
        async def all_of_them(request: Request) -> Response:
            return Response.stepped(numbers.at(0))

        return app

    def broken(version: int, cursor: object, args: object) -> Any:
        raise LookupError(f"no way from {version}")

    async def test(fleet: Fleet) -> None:
        first = fleet.replica()
        response, known = await begun(first, get())
        fleet.make = lambda: release(2)
        assert (await asked(fleet.replica(), event(b"", known))).refusal is Refusal.NOT_HERE
        fleet.make = lambda: release(2, lambda version, cursor, args: (cursor, args))
        assert output(await asked(fleet.replica(), event(b"", known))) == response
        fleet.make = lambda: release(2, broken)
        assert (await asked(fleet.replica(), event(b"", known))).refusal is Refusal.NOT_HERE
        assert [str(each) for each in fleet.errors] == ["no way from 1"]

    with_fleet(lambda: release(1), test)
