"""Unsafe requests to programs: run at most once whichever replicas they reach, and answered alike from then on."""

import asyncio

import pytest

from tests.support.offered import LONG, offered
from tests.support.origins import body, event, get, output, spool, status
from tests.support.programs import Fleet, always, asked, begun, fetched, settled, short_ranges, with_fleet
from trickles import Policy
from trickles.service import Continuation, Event, Refusal, Reply
from trickles.stores import store_name
from trickleweb import App, Request
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import Receive, Scope, Send
from trickleweb.ledger import Claim, LedgerUnavailable, request_key
from trickleweb.plain import StateTooLarge
from trickleweb.server import HttpService
from trickleweb.stores import MemoryLedger
from trickleweb.testing.fleet import VirtualFleet

POST = get("/echo", "Content-Length: 5", method="POST") + b"12345"
KEY = request_key(b"12345678", 0)


def post(path: str, data: bytes = b"") -> bytes:
    return get(path, f"Content-Length: {len(data)}", method="POST") + data


def shared(fleet: Fleet) -> App:
    """One application behind all replicas, whose `state.ran` counts."""
    app = offered()
    fleet.make = lambda: app
    return app


def test_two_replicas_run_it_once_and_answer_alike() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        first, second = fleet.two()
        replies = await asyncio.gather(*[asked(origin, event(POST)) for origin in (first, second, first)])
        assert {output(reply) for reply in replies} == {output(replies[0])}
        assert replies[0].continuation == replies[1].continuation
        assert app.state.ran == ["POST /echo"]
        later = await asked(fleet.replica(), event(POST))
        assert later == replies[0]

    with_fleet(offered, test)


def test_another_offset_or_connection_is_another_request() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        origin, other = fleet.two()
        _, known = await begun(origin, POST)
        await begun(other, POST, known)
        await asked(origin, event(POST)._replace(connection=b"87654321"))
        assert app.state.ran == 3 * ["POST /echo"]

    with_fleet(offered, test)


@pytest.mark.parametrize(("path", "code"), [("/raises", 500), ("/refuses", 409)])
def test_an_error_is_kept_as_well(path: str, code: int) -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        first, second = fleet.two()
        response, known = await begun(first, post(path))
        assert status(response) == code
        assert await begun(second, post(path)) == (response, known)
        assert app.state.ran == [f"POST {path}"]

    with_fleet(offered, test)


@pytest.mark.parametrize(("path", "runs"), [("/echo", 0), ("/twice", 1)])
def test_what_a_dead_replica_was_at_is_not_run_again_unless_twice_does_no_harm(path: str, runs: int) -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        await MemoryLedger(fleet.memory, "dead").claim(KEY, now=1)
        fleet.memory.dead.add("dead")
        first, second = fleet.two()
        response, _ = await begun(first, post(path))
        assert len(app.state.ran) == runs
        if runs:
            assert body(response) == b"done"
        else:
            assert status(response) == 500
            assert b"its outcome is unknown" in response
        assert (await begun(second, post(path)))[0] == response
        assert len(app.state.ran) == runs

    with_fleet(offered, test)


def test_what_began_where_another_ledger_is_in_use_is_not_run() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        origin = fleet.replica()
        elsewhere = event(POST)._replace(other_store=True)
        for _ in range(2):
            assert await asked(origin, elsewhere) == Reply(refusal=Refusal.NOT_HERE)
        assert (app.state.ran, origin.other_ledger, len(fleet.errors)) == ([], 2, 2)
        assert f"(store {store_name(fleet.memory.store_id)})" in str(fleet.errors[0])
        assert await asked(origin, event(post("/twice"))._replace(other_store=True)) != Reply(refusal=Refusal.NOT_HERE)
        assert status(output(await asked(origin, event(get("/"))._replace(other_store=True)))) == 200
        assert (await asked(origin, event(POST)._replace(connection=b"87654321"))).refusal is None
        assert app.state.ran == ["POST /twice", "POST /echo"]

    with_fleet(offered, test)


@pytest.mark.parametrize("apart", [False, True], ids=["one ledger", "two ledgers"])
@pytest.mark.parametrize("policy", [Policy.HOME, Policy.SPRAY])
def test_what_a_replica_died_at_is_not_run_again_whatever_replicas_share(policy: Policy, apart: bool) -> None:
    """The replica at work dies; the one that takes its place has the same ledger, the other one perhaps not."""
    app, ran, lives = App(), list[int](), list[VirtualFleet]()

    @app.post("/pay")
    async def pay(_: Request) -> str:
        [fleet] = lives
        [index] = [index for index, life in fleet._lives.items() if life.server.busy]
        ran.append(index)
        if len(ran) == 1:
            fleet.kill(index)
            await asyncio.sleep(3600)
        return "paid"

    lives.append(VirtualFleet(lambda: app, policy=policy, apart=apart))
    transfer = asyncio.run(lives[0].fetch(post("/pay")))
    assert len(ran) == 1
    assert transfer.failure is not None or b"its outcome is unknown" in transfer.data


def test_one_at_work_elsewhere_is_waited_for() -> None:
    async def test(fleet: Fleet) -> None:
        other = MemoryLedger(fleet.memory, "other")
        await other.claim(KEY, now=1)
        waiting = asyncio.ensure_future(asked(fleet.replica(), event(POST)))
        await settled()
        assert not waiting.done()
        plain, _ = await begun(fleet.replica(), get("/"), await made_elsewhere(fleet))
        assert status(plain) == 200
        fleet.memory.dead.add("other")
        assert status(output(await waiting)) == 500

    async def made_elsewhere(fleet: Fleet) -> Continuation | None:
        return (await asked(fleet.replica(), event(get("/"))._replace(connection=b"87654321"))).continuation

    with_fleet(offered, test)


def test_steps_go_on_from_the_cursor_and_never_run_the_request_again() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        first, second = fleet.two()
        alone, _ = await fetched(always(first), post("/rows"))

        def forgetful(turn: int) -> HttpService:
            origin = (first, second)[turn % 2]
            origin.drop_caches()
            return origin

        assert (await fetched(forgetful, post("/rows"), budget=20_000))[0] == alone
        assert alone.count(b"\n") > LONG.count(b"\n")
        assert app.state.ran.count("POST /rows") == 1
        assert len({each for each in app.state.ran if each.startswith("rows")}) > 5

    with_fleet(offered, test, stream_limits=short_ranges())


def test_what_cannot_travel_is_told_once_it_was_done() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        for _ in range(2):
            response, _ = await begun(fleet.replica(), post("/rows/long"))
            assert status(response) == 500
        assert "send fewer headers" in str(fleet.errors[0])
        assert len(fleet.errors) == 1
        assert app.state.ran == ["POST /rows/long"]

    with_fleet(offered, test)


class Failing(MemoryLedger):
    """Cannot be asked, a few times; keeps no plan over 1,000 bytes."""

    def __init__(self, fleet: Fleet, *, claims: int = 0, completions: int = 0) -> None:
        super().__init__(fleet.memory, "failing")
        self.left = {"claim": claims, "complete": completions}

    async def claim(self, key: bytes, *, now: int) -> Claim:
        self.fail("claim")
        return await super().claim(key, now=now)

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        self.fail("complete")
        if len(plan) > 1000:
            raise StateTooLarge("too large for this one")
        return await super().complete(key, plan, now=now)

    def fail(self, what: str) -> None:
        self.left[what] -= 1
        if self.left[what] >= 0:
            raise LedgerUnavailable("locked")


@pytest.mark.parametrize("failures", [{"claims": 1}, {"completions": 1}])
def test_a_ledger_that_cannot_be_asked_is_reported_and_asked_again(failures: dict[str, int]) -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        origin = fleet.replica(Failing(fleet, **failures))
        assert await asked(origin, event(POST)) == Reply(refusal=Refusal.BUSY)
        assert [type(each) for each in fleet.errors] == [LedgerUnavailable]
        response, _ = await begun(origin, POST)
        assert body(response) == b"12345"
        assert app.state.ran == ["POST /echo"]

    with_fleet(offered, test)


def test_a_ledger_that_keeps_less_than_that_keeps_an_error() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        origin = fleet.replica(Failing(fleet))
        for each in (origin, fleet.replica()):
            assert status((await begun(each, post("/echo", bytes(5000))))[0]) == 500
        assert app.state.ran == ["POST /echo"]

    with_fleet(offered, test)


def uploaded(data: bytes, size: int) -> Event:
    """The first `size` bytes of it are in the spool."""
    return event(data[:1000], spooled=spool(data[:size]))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_streamed_from_the_spool(chunked: bool) -> None:
    size, piece = 3_000_000, b"8000\r\n" + bytes(0x8000) + b"\r\n"
    if chunked:
        size = 0x8000 * 100
        data = get("/upload", "Transfer-Encoding: chunked", method="POST") + piece * 100 + b"0\r\n\r\n"
    else:
        data = post("/upload", bytes(size))

    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        first, second = fleet.two()
        for stop in (500, 100_000, 1_000_000, len(data) - 1):
            assert await asked(first, uploaded(data, stop)) == Reply()
        response, known = await begun_with(second, uploaded(data, len(data)))
        assert b'"bytes":%d' % size in response
        assert known is not None
        assert known.consumed == len(data)
        assert app.state.ran == ["POST /upload"]

    async def begun_with(origin: HttpService, what: Event) -> tuple[bytes, Continuation | None]:
        reply = await asked(origin, what)
        return output(reply), reply.continuation

    with_fleet(offered, test)


def test_chunks_are_looked_at_once_however_they_arrive() -> None:
    data = get("/upload", "Transfer-Encoding: chunked", method="POST") + b"400\r\n%b\r\n" % bytes(1024) * 2000
    read: list[int] = []

    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        for stop in range(1000, len(data), 50_000):
            given = uploaded(data, stop)
            assert given.spooled is not None

            def counted(start: int, stop: int) -> bytes:
                read.append(stop - start)
                return data[start:stop]

            await asked(origin, given._replace(spooled=given.spooled._replace(read=counted)))

    with_fleet(offered, test)
    assert sum(read) < 1.2 * len(data)


def test_a_body_that_is_not_kept_any_more_is_asked_for_again_and_was_not_claimed() -> None:
    data = post("/echo", bytes(50_000))

    async def test(fleet: Fleet) -> None:
        shared(fleet)
        gone = event(data[:1000], spooled=spool(data, kept=20_000))
        assert await asked(fleet.replica(), gone) == Reply(refusal=Refusal.INPUT_LOST)
        assert fleet.memory.rows == {}
        response = output(await asked(fleet.replica(), uploaded(data, len(data))))
        assert body(response) == bytes(50_000)

    with_fleet(offered, test)


def test_a_request_cut_by_its_client_is_refused() -> None:
    async def test(fleet: Fleet) -> None:
        app = shared(fleet)
        for cut in (10, len(POST) - 1):
            reply = await asked(fleet.replica(), event(POST[:cut], end=True))
            assert status(output(reply)) == 400
            assert reply.continuation is not None
            assert reply.end == reply.continuation.stop
        assert app.state.ran == []

    with_fleet(offered, test)


@pytest.mark.parametrize(("method", "runs"), [("REPORT", 2), ("QUERY", 2), ("LOCK", 1), ("PURGE", 1), ("get", 1)])
def test_any_method_reaches_a_program_and_only_safe_ones_are_run_again(method: str, runs: int) -> None:
    ran: list[str] = []

    async def program(scope: Scope, _receive: Receive, send: Send) -> None:
        ran.append(scope["method"])
        await send({"type": "http.response.start", "status": 207, "headers": []})
        await send({"type": "http.response.body", "body": scope["method"].encode()})

    async def test(fleet: Fleet) -> None:
        for origin in fleet.two():
            response = output(await asked(origin, event(get("/", method=method))))
            assert (status(response), body(response)) == (207, method.encode())

    with_fleet(lambda: AsgiApplication(program, lifespan="off"), test)
    assert ran == runs * [method]
