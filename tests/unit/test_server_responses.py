"""Programs' responses, event by event: whole, resumed by another replica, one behind the other, and refused."""

import asyncio
from pathlib import Path

import pytest

from tests.support.offered import LARGE, LONG, offered
from tests.support.origins import body, event, fields, get, output, spool, status
from tests.support.programs import Fleet, always, asked, begun, fetched, replied, with_fleet
from tests.support.site_folder import fill
from tests.support.taps import content
from trickles.service import Deferred, Refusal, Reply
from trickleweb import App, Request, Response
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import Receive, Scope, Send
from trickleweb.http1 import ChunkedState, decode_chunked
from trickleweb.limits import Limits
from trickleweb.server import HttpService
from trickleweb.stores import MemoryPages

KINDS = {
    "text": "/",
    "from a thread": "/plain",
    "large": "/large",
    "by moment": "/moment",
    "async stream": "/stream",
    "plain stream": "/sync",
    "of known length": "/length",
    "with long fields": "/long-fields",
    "steps": "/rows",
    "odd steps": "/odd",
    "no content": "/status/204",
    "not modified": "/status/304",
    "missing": "/nothing",
    "broken": "/broken",
}
BODIES = {"large": LARGE, "async stream": LONG, "plain stream": LONG, "of known length": LONG, "steps": LONG}


def unframed(response: bytes) -> bytes:
    """The body of a response, its chunks joined."""
    if fields(response).get("transfer-encoding") != "chunked":
        return body(response)
    decoded = decode_chunked(body(response), ChunkedState(), Limits(max_body_bytes=1 << 30))
    assert decoded.done
    assert decoded.consumed == len(body(response))
    return b"".join(decoded.pieces)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_replicas_that_take_turns_and_lose_all_make_one_response(kind: str, version: str) -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        request = get(KINDS[kind], version=version)
        alone, known = await fetched(always(first), request)
        first.drop_caches()

        def forgetful(turn: int) -> HttpService:
            origin = (first, second)[turn % 2]
            origin.drop_caches()
            return origin

        fleet.drawn = 0
        response, known = await fetched(forgetful, request, budget=30_000)
        if kind != "by moment":
            assert response == alone
        assert len(known.state) <= 700
        if kind in BODIES:
            assert unframed(response) == BODIES[kind]
        assert fleet.errors == [] or kind == "broken"

    with_fleet(offered, test)


@pytest.mark.parametrize("kind", ["large", "by moment", "async stream", "steps", "odd steps", "of known length"])
def test_every_range_of_what_is_vouched_for_is_what_it_was(kind: str) -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        await begun(first, get(KINDS[kind]))
        response, known = await begun(first, get(KINDS[kind]))
        assert known.stop == len(response)
        step = max(known.stop // 7, 1)
        for start in range(0, known.stop, step):
            for origin in (first, second):
                reply = await asked(origin, event(b"", known, (start, start + step), (0, 5), budget=step + 5))
                assert output(Reply(reply.chunks[:1])) == response[start : start + len(reply.chunks[0][1])]
                assert b"".join(bytes(data) for _, data in reply.chunks).endswith(response[:5])

    with_fleet(offered, test)


def test_head_is_that_of_get_without_its_body() -> None:
    async def test(fleet: Fleet) -> None:
        for path in ("/", "/large", "/stream", "/length", "/rows", "/long-fields"):
            first, second = fleet.two()
            whole, _ = await fetched(always(second), get(path))
            head, known = await begun(first, get(path, method="HEAD"))
            assert head == whole[: len(whole) - len(body(whole))].replace(b"Transfer-Encoding: chunked\r\n", b"")
            assert not known.more
            assert output(await asked(second, event(b"", known))) == head

    with_fleet(offered, test)


def test_nothing_is_taken_of_a_stream_that_nobody_wants() -> None:
    async def test(fleet: Fleet) -> None:
        app = offered()
        fleet.make = lambda: app
        await begun(fleet.replica(), get("/stream", method="HEAD"))
        assert app.state.ran == []

    with_fleet(offered, test)


def test_requests_follow_each_other_on_a_connection() -> None:
    async def test(fleet: Fleet) -> None:
        origin, other = fleet.two()
        _, known = await begun(origin, get("/"))
        for path, use in (("/large", other), ("/stream", origin), ("/rows", other), ("/", origin)):
            before = known
            response, known = await fetched(always(use), get(path), known=before)
            assert known.consumed == before.consumed + len(get(path))
            assert status(response) == 200

    with_fleet(offered, test)


def test_what_is_lost_of_a_response_comes_with_the_next_one() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        first, known = await begun(origin, get("/"))
        reply = await asked(origin, event(get("/none")[:5], known, (3, 1 << 40)))
        assert output(reply) == first[3:]
        assert reply.continuation is None

    with_fleet(offered, test)


def test_pipelined_requests_are_answered_in_turn() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        both = get("/") + get("/large") + get("/", "Connection: close")
        first, known = await begun(origin, both)
        assert (known.consumed, body(first)) == (len(get("/")), b"Hello, world\n")
        second, known = await begun(origin, both[known.consumed :], known)
        assert body(second) == LARGE
        reply = await asked(origin, event(both[known.consumed :], known))
        assert reply.continuation is not None
        assert reply.end == reply.continuation.stop
        assert reply.continuation.consumed == len(both)

    with_fleet(offered, test)


@pytest.mark.parametrize("path", ["/", "/stream", "/rows"])
def test_a_client_that_half_closes_gets_its_whole_response(path: str) -> None:
    async def test(fleet: Fleet) -> None:
        origin, other = fleet.two()
        reply = await asked(origin, event(get(path), end=True, budget=1000))
        known = reply.continuation
        assert known is not None
        assert b"Connection: close" in output(reply)
        data = output(reply)
        while (at := len(data)) < (known.stop or 0) or known.more:
            reply = await asked(other, event(b"", known, (at, at + 90_000), budget=90_000))
            data += output(reply)
            known = reply.continuation or known
        assert reply.end == known.stop

    with_fleet(offered, test)


def test_input_that_ends_between_requests_ends_the_output() -> None:
    async def test(fleet: Fleet) -> None:
        origin = fleet.replica()
        assert await asked(origin, event(b"", end=True)) == Reply(end=0)
        for path in ("/", "/rows"):
            _, known = await fetched(always(origin), get(path))
            assert (await asked(origin, event(b"", known, (0, 0), end=True))).end == known.stop
            assert (await asked(origin, event(b"\r\n", known, (0, 0), end=True))).end == known.stop

    with_fleet(offered, test)


def test_an_expectation_is_answered_before_the_body_comes() -> None:
    async def test(fleet: Fleet) -> None:
        origin, other = fleet.two()
        head = get("/echo", "Content-Length: 4", "Expect: 100-continue", method="POST")
        interim, known = await begun(origin, head)
        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert known.consumed == 0
        assert output(await asked(other, event(b"", known, (9, 12)))) == interim[9:12]
        assert await asked(other, event(head + b"12", known)) == Reply()
        response, behind = await begun(other, head + b"1234", known)
        assert (behind.start, behind.consumed) == (len(interim), len(head) + 4)
        assert body(response) == b"1234"
        refused, _ = await begun(origin, get("/nothing", "Content-Length: 4", "Expect: 100-continue", method="POST"))
        assert status(refused) == 404

    with_fleet(offered, test)


def test_files_of_a_folder_come_with_ranges_and_conditions(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    fill(tmp_path, {"a.bin": content})

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        whole, known = await begun(first, get("/files/a.bin"))
        assert body(whole) == content
        assert output(await asked(second, event(b"", known, (1000, 90_000)))) == whole[1000:90_000]
        part, _ = await begun(fleet.replica(), get("/files/a.bin", "Range: bytes=5-104"))
        assert (status(part), body(part)) == (206, content[5:105])
        tag = fields(whole)["etag"]
        assert status((await begun(fleet.replica(), get("/files/a.bin", f"If-None-Match: {tag}")))[0]) == 304
        assert status((await begun(fleet.replica(), get("/files/b.bin")))[0]) == 404

    with_fleet(lambda: offered(tmp_path), test)


def test_a_file_replaced_in_mid_transfer_is_not_here(tmp_path: Path) -> None:
    fill(tmp_path, {"a.bin": bytes(100_000)})

    async def test(fleet: Fleet) -> None:
        first = fleet.replica()
        _, known = await begun(first, get("/files/a.bin"))
        (tmp_path / "new").write_bytes(bytes([1]) * 100_000)
        (tmp_path / "new").replace(tmp_path / "a.bin")
        reply = await asked(fleet.replica(), event(b"", known, (500, 90_000)))
        assert reply.chunks == ()
        assert reply.refusal in {Refusal.NOT_HERE, Refusal.BUSY}  # or it is not known yet which content it is

    with_fleet(lambda: offered(tmp_path), test)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (get("/", version="HTTP/9.9"), 505),
        (get("/echo"), 405),
        (get("/echo", "Content-Length: 99999999", method="POST"), 413),
        (get("/nothing", "Content-Length: 99999", method="POST"), 404),
        (get("/echo", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n", 400),
        (get("/echo", "Transfer-Encoding: chunked", method="POST") + b"ffffffff\r\n", 413),
    ],
)
def test_what_is_no_request_for_the_program_is_refused(request_: bytes, code: int) -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, request_)
        assert status(response) == code
        assert output(await asked(second, event(b"", known))) == response
        assert first.statuses == {code: 1}
        assert [each.status for each in fleet.answered if not each.resumed] == [code]

    with_fleet(offered, test)


def test_a_program_that_cancels_its_own_request_has_none() -> None:
    class Odd(App):
        async def respond(self, request: Request) -> Response:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
            raise AssertionError

    async def test(fleet: Fleet) -> None:
        assert await asked(fleet.replica(), event(get())) == Reply(refusal=Refusal.GONE)

    with_fleet(Odd, test)


def test_a_request_too_long_for_a_state_lies_in_the_ledger() -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        request = get("/moment?q=" + "x" * 3000, "Cookie: " + "c" * 4000)
        response, known = await begun(first, request)
        assert len(response) > 5000
        assert len(known.state) < 200
        assert len(fleet.memory.rows) == 1
        assert output(await asked(second, event(b"", known, (100, 5000)))) == response[100:5000]
        fleet.memory.rows.clear()
        fleet.pages = MemoryPages()
        assert (await asked(fleet.replica(), event(b"", known, (100, 5000)))).refusal is Refusal.NOT_HERE

    with_fleet(offered, test)


def test_a_request_too_long_to_be_kept_is_an_error_that_names_the_way_out() -> None:
    async def test(fleet: Fleet) -> None:
        data = get("/large", f"Content-Length: {2 << 20}") + bytes(2 << 20)
        reply = await asked(fleet.replica(), event(data[:1000], spooled=spool(data)))
        assert status(output(reply)) == 500
        assert "answer it briefly, with a file, or from a cursor" in str(fleet.errors[0])

    with_fleet(offered, test)


@pytest.mark.parametrize("path", ["/fields?n=70000", "/too-long-arguments"])
def test_what_cannot_travel_is_an_error_that_names_the_way_out(path: str) -> None:
    async def test(fleet: Fleet) -> None:
        response, known = await begun(fleet.replica(), get(path))
        assert status(response) == 500
        assert len(fleet.errors) == 1
        assert output(await asked(fleet.replica(), event(b"", known))) == response

    with_fleet(offered, test)


def test_an_answer_that_comes_later_is_the_same_for_all_who_asked() -> None:
    async def test(fleet: Fleet) -> None:
        app = offered()
        fleet.make = lambda: app
        origin = fleet.replica()
        waiting = [origin.handle(event(get("/"))) for _ in range(3)]
        assert all(isinstance(each, Deferred) for each in waiting)
        replies = [await replied(each) for each in waiting]
        assert replies[0] == replies[1] == replies[2] == await asked(origin, event(get("/")))
        assert app.state.ran == ["hello"]
        assert origin.statuses == {200: 1}

    with_fleet(offered, test)


def test_early_input_runs_safe_requests_only() -> None:
    async def test(fleet: Fleet) -> None:
        app = offered()
        fleet.make = lambda: app
        origin = fleet.replica()
        assert await asked(origin, event(get("/echo", "Content-Length: 0", method="POST"), early=True)) == Reply()
        assert status(output(await asked(origin, event(get("/"), early=True)))) == 200
        assert app.state.ran == ["hello"]

    with_fleet(offered, test)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_very_long_message_is_sent_in_pieces_of_which_only_the_first_are_looked_at(chunked: bool) -> None:
    large = LARGE * 20  # 4 MB

    async def program(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": large, "more_body": chunked})
        await send({"type": "http.response.body", "body": b""}) if chunked else None

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        _, known = await begun(first, get("/"), budget=1000)
        assert known.more
        assert (known.stop or 0) < len(large) // 2
        whole, _ = await fetched(lambda turn: (first, second)[turn % 2], get("/"))
        assert (content(whole) if chunked else body(whole)) == large
        if not chunked:
            assert b"Content-Length: %d\r\n" % len(large) in whole
            head = output(await asked(first, event(get("/", method="HEAD"))._replace(connection=b"87654321")))
            assert head == whole[: -len(large)]

    with_fleet(lambda: AsgiApplication(program, lifespan="off"), test)
