"""Routes that run on the part of a body that has arrived: when, with what, and what becomes of their responses."""

import asyncio
from dataclasses import dataclass, field

from tests.support.origins import body, event, get, output, spool, status
from tests.support.programs import Fleet, asked, settled, with_fleet
from trickles.service import Event, Reply
from trickleweb import App, HTTPError, Request
from trickleweb.server import HttpService
from trickleweb.server.limits import ServerLimits
from trickleweb.testing import Client

PIECE = 5 << 20  # more than lies between two runs
DATA = bytes(range(256)) * (3 * PIECE // 256)
HEAD = get("/", f"Content-Length: {len(DATA)}", method="PATCH")


@dataclass(slots=True)
class Kept:
    """A program that keeps what it has seen, and may refuse all further bytes."""

    seen: bytes = b""
    runs: list[tuple[int, bool]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    refuses: int = 0
    gate: asyncio.Event | None = None

    def app(self) -> App:
        app = App(max_body_bytes=1 << 30)

        @app.patch("/", stream=True, repeatable=True, partial=True)
        async def keep(request: Request) -> str:
            async for piece in request.stream(len(self.seen)):
                self.seen += piece
            if self.gate is not None:
                await self.gate.wait()
            self.keys.add(request.idempotency_key)
            self.runs.append((len(self.seen), request.is_whole))
            if self.refuses:
                raise HTTPError(self.refuses, "No more of it.")
            return "kept\n"

        return app


async def sent(origin: HttpService, size: int, *, end: bool = False) -> Reply:
    """The reply to so much of the request, once nothing runs any more."""
    reply = await asked(origin, part(size, end=end))
    while origin.busy:
        await settled()
    return reply


def part(size: int, *, end: bool = False) -> Event:
    given = HEAD + DATA[:size]
    return event(given[:1000], end=end, spooled=spool(given))


def test_parts_are_seen_while_the_rest_arrives_on_any_replica_and_the_whole_answers() -> None:
    kept = Kept()

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        assert await sent(first, 1000) == Reply()
        assert kept.runs == []  # too little of it
        assert await sent(first, PIECE) == Reply()
        assert await sent(second, 2 * PIECE) == Reply()
        assert await sent(second, 2 * PIECE + 1) == Reply()  # nearly the same as just before
        assert kept.seen == DATA[: 2 * PIECE]
        reply = await sent(first, len(DATA))
        assert body(output(reply)) == b"kept\n"
        assert kept.seen == DATA
        assert kept.runs == [(PIECE, False), (2 * PIECE, False), (len(DATA), True)]
        assert len(kept.keys) == 1

    with_fleet(kept.app, test)


def test_few_bytes_are_seen_a_second_later() -> None:
    kept = Kept()

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        await sent(origin, 1000)
        fleet.now_us += 1_000_000
        await sent(origin, 60_000)
        assert kept.runs == []  # a run would be more work
        await sent(origin, 70_000)
        assert kept.runs == [(70_000, False)]

    with_fleet(kept.app, test)


def test_all_that_has_arrived_is_seen_when_the_client_leaves() -> None:
    kept = Kept()

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        await sent(origin, 1000)
        reply = await sent(origin, 100_000, end=True)
        assert status(output(reply)) == 400
        assert kept.seen == DATA[:100_000]
        assert kept.runs == [(100_000, False)]

    with_fleet(kept.app, test)


def test_an_error_answers_at_once_and_ends_the_connection() -> None:
    kept = Kept(refuses=503)

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        await sent(origin, PIECE)
        assert await sent(origin, PIECE + 1) == Reply()  # the whole may do better
        kept.refuses = 409
        await sent(origin, 2 * PIECE)
        response = output(await sent(origin, 2 * PIECE + 1))
        assert status(response) == 409
        assert b"Connection: close" in response
        assert fleet.answered[-1].status == 409

    with_fleet(kept.app, test)


def test_one_part_at_a_time() -> None:
    kept = Kept()

    async def test(fleet: Fleet) -> None:
        kept.gate = asyncio.Event()
        origin = fleet.replica()
        for size in (PIECE, 2 * PIECE):
            assert await asked(origin, part(size)) == Reply()
            await settled()
        kept.gate.set()
        while origin.busy:
            await settled()
        await sent(origin, 2 * PIECE + 1)
        await sent(origin, 2 * PIECE + 2)
        assert kept.runs == [(PIECE, False), (2 * PIECE + 1, False)]

    with_fleet(kept.app, test)


def test_a_busy_replica_lets_parts_wait() -> None:
    kept = Kept()

    async def test(fleet: Fleet) -> None:
        assert await sent(fleet.replica(), PIECE) == Reply()
        assert kept.runs == []

    with_fleet(kept.app, test, server_limits=ServerLimits(running=0))


def test_parts_that_a_spool_has_lost_end_nothing() -> None:
    kept = Kept()

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        given = HEAD + DATA
        lost = event(given[:1000], spooled=spool(given, kept=1000)._replace(stop=len(HEAD) + 70_000))
        fleet.now_us += 1_000_000
        assert await asked(origin, lost) == Reply()
        fleet.now_us += 1_000_000
        assert await asked(origin, lost) == Reply()
        while origin.busy:
            await settled()
        assert kept.runs == []
        assert fleet.errors == []

    with_fleet(kept.app, test)


def test_chunks_and_other_routes_are_run_whole() -> None:
    kept = Kept()

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        head = get("/", "Transfer-Encoding: chunked", method="PATCH")
        whole = head + b"600000\r\n" + DATA[:0x600000] + b"\r\n0\r\n\r\n"
        for size in (1000, PIECE):
            assert await asked(origin, event(whole[:1000], spooled=spool(whole[:size]))) == Reply()
            fleet.now_us += 1_000_000
        reply = await asked(origin, event(whole[:1000], spooled=spool(whole)))
        assert body(output(reply)) == b"kept\n"
        assert kept.runs == [(0x600000, True)]

    with_fleet(kept.app, test)


def test_a_body_is_read_from_any_byte_on_whatever_carries_it() -> None:
    app = App(max_body_bytes=1 << 20)

    @app.post("/{start:int}", stream=True)
    async def tail(request: Request, start: int) -> bytes:
        assert request.is_whole
        return b"".join([piece async for piece in request.stream(start)]) or b"nothing"

    data = DATA[:100_000]
    with Client(app) as client:
        for start in (0, 1, 70_000, 100_000, 100_001):
            wanted = data[start:] or b"nothing"
            assert client.post(f"/{start}", content=data).content == wanted
            pieces = [data[at : at + 30_000] for at in range(0, len(data), 30_000)]
            assert client.post(f"/{start}", content=pieces).content == wanted
