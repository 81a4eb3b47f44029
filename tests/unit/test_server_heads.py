"""Requests that are run again: what a program may say anew in its head, and what it must not."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.origins import event, fields, get, output
from tests.support.programs import Fleet, always, asked, begun, fetched, with_fleet
from trickles.service import Refusal
from trickleweb import App, Request, Response
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import AsgiApp, Receive, Scope, Send
from trickleweb.asgi.outgoing import SETTLE_S
from trickleweb.bodies import Complete, Streamed

TEXT = [b"%09d\n" % number * 20 for number in range(20)]
WHOLE = b"".join(TEXT)


class GonePages:
    """Pages that are gone as soon as they are kept, so that other replicas run the request again."""

    def put(self, key: bytes, data: bytes) -> None:
        pass

    def get(self, key: bytes) -> bytes | None:
        return None


Change = Callable[[int, Response], Response]  # what a run makes of the response, by its number


def bodies() -> dict[str, Callable[[], Any]]:
    return {
        "stream": lambda: Streamed(list(TEXT)),
        "stream of known length": lambda: Streamed(list(TEXT), len(WHOLE)),
        "complete": lambda: Complete(WHOLE),
    }


def programs(kind: str, change: Change) -> Callable[[], App]:
    """Applications that count their runs together, and answer all with a body of that kind."""
    runs = list[int]()

    def make() -> App:
        app = App()

        @app.get("/")
        def root(request: Request) -> Response:
            runs.append(1)
            response = Response(200, body=bodies()[kind]()).with_header("Content-Type", "text/plain")
            return change(len(runs), response)

        return app

    return make


HARMLESS: dict[str, Change] = {
    "time": lambda run, response: response.with_header("X-Process-Time", "1" * run),
    "date": lambda run, response: response.with_header("Date", f"Thu, 01 Jan 1970 00:00:0{run} GMT"),
    "cookie": lambda run, response: response.with_header("Set-Cookie", f"session={run}"),
    "nonce": lambda run, response: response.with_header("Content-Security-Policy", f"script-src 'nonce-{run}'"),
    "one more": lambda run, response: response.with_header(f"X-Run-{run}", "1"),
}
HARMFUL: dict[str, Change] = {
    "status": lambda run, response: Response(199 + run, response.headers, response.body),
    "type": lambda run, response: response.with_header("Content-Type", f"text/{run}"),
    "coding": lambda run, response: response.with_header("Content-Encoding", f"x{run}"),
    "version": lambda run, response: response.with_header("ETag", f'"{run}"'),
}


@pytest.mark.parametrize("change", HARMLESS)
@pytest.mark.parametrize("kind", bodies())
def test_another_run_may_say_other_things_beside(kind: str, change: str) -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get("/"))
        head_bytes = response.index(b"\r\n\r\n") + 4
        start = known.start + head_bytes
        rest = await asked(second, event(b"", known, (start, 1 << 30)))
        assert output(rest) == response[head_bytes:]
        assert fleet.errors == []

    with_fleet(programs(kind, HARMLESS[change]), test, pages=GonePages())


@pytest.mark.parametrize("kind", bodies())
def test_the_heads_of_two_runs_are_never_mixed(kind: str) -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        _, known = await begun(first, get("/"))
        reply = await asked(second, event(b"", known, (known.start + 20, 1 << 30)))
        assert (reply.chunks, reply.refusal) == ((), Refusal.NOT_HERE)

    with_fleet(programs(kind, HARMLESS["time"]), test, pages=GonePages())


@pytest.mark.parametrize("change", HARMFUL)
@pytest.mark.parametrize("kind", bodies())
def test_another_run_must_not_say_that_the_body_is_another(kind: str, change: str) -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get("/"))
        start = known.start + response.index(b"\r\n\r\n") + 4
        reply = await asked(second, event(b"", known, (start, 1 << 30)))
        assert (reply.chunks, reply.refusal) == ((), Refusal.NOT_HERE)

    with_fleet(programs(kind, HARMFUL[change]), test, pages=GonePages())


@pytest.mark.parametrize("change", HARMFUL)
def test_a_kept_page_is_sent_whatever_another_run_says(change: str) -> None:
    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get("/"))
        assert output(await asked(second, event(b"", known, (known.start, 1 << 30)))) == response

    with_fleet(programs("complete", HARMFUL[change]), test)


def test_another_run_must_not_promise_another_length() -> None:
    def shorter(run: int, response: Response) -> Response:
        body = Streamed(TEXT[:-run], len(b"".join(TEXT[:-run])))
        return Response(200, response.headers, body)

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get("/"))
        assert fields(response)["content-length"] == str(len(b"".join(TEXT[:-1])))
        reply = await asked(second, event(b"", known, (known.start + len(response) - 10, 1 << 30)))
        assert (reply.chunks, reply.refusal) == ((), Refusal.NOT_HERE)

    with_fleet(programs("stream", shorter), test)


def waiting(release: asyncio.Event | None) -> AsgiApp:
    """A program that sends its body in one message, at once or much later than its head."""

    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        if release is not None:
            await release.wait()
        await send({"type": "http.response.body", "body": WHOLE})

    return program


@pytest.mark.parametrize("slow_first", [True, False])
def test_it_does_not_matter_how_slow_a_program_is(slow_first: bool) -> None:
    async def test(fleet: Fleet) -> None:
        release = asyncio.Event()
        programs = iter([waiting(release), waiting(None)] if slow_first else [waiting(None), waiting(release)])
        fleet.make = lambda: AsgiApplication(next(programs), lifespan="off")
        first, second = fleet.two()
        response, known = await begun(first, get("/"))
        if slow_first:
            release.set()
            response, known = await fetched(always(first), get("/"))
        asking = asyncio.create_task(asked(second, event(b"", known, (known.start, 1 << 30))))
        asyncio.get_running_loop().call_later(2 * SETTLE_S, release.set)
        rest = output(await asking)
        assert WHOLE[-5:] in rest
        assert response.endswith(rest)
        assert fleet.errors == []

    with_fleet(App, test)


def in_pieces(pieces: int) -> AsgiApp:
    """A program that sends the same in so many messages, each of which is a chunk."""

    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for at in range(pieces):
            part = WHOLE[at * len(WHOLE) // pieces : (at + 1) * len(WHOLE) // pieces]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    return program


def test_a_program_for_asgi_may_not_cut_its_stream_otherwise() -> None:
    programs = iter([in_pieces(2), in_pieces(3)])

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        response, known = await begun(first, get("/"))
        assert fields(response)["transfer-encoding"] == "chunked"
        reply = await asked(second, event(b"", known, (known.start + len(response) - 10, 1 << 30)))
        assert (reply.chunks, reply.refusal) == ((), Refusal.NOT_HERE)

    with_fleet(lambda: AsgiApplication(next(programs), lifespan="off"), test)
