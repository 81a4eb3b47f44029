"""Input that the spool has lost: no program takes its hole for the end of a body; the client hears what was done."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support.offered import offered
from tests.support.origins import body, event, get, origin, output, spool, status
from tests.support.programs import Fleet, asked, with_fleet
from trickles.service import Refusal, Reply
from trickleweb import App, Request
from trickleweb.application import Application
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import Receive, Scope, Send
from trickleweb.wsgi import WsgiApplication

SIZE = 1_000_000
BODY = sha256(b"body").digest() * (SIZE // 32)
UPLOAD = get("/upload", f"Content-Length: {len(BODY)}", method="PUT") + BODY
SEEN = list[bytes]()


@pytest.fixture(autouse=True)
def fresh() -> None:
    SEEN.clear()


def own() -> App:
    app = App()

    @app.route("/upload", methods=["PUT"])
    async def upload(request: Request) -> str:
        SEEN.append(b"".join([piece async for piece in request.stream()]))
        return "all of it\n"

    return app


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """A program that makes the best of whatever happens to it."""
    data, more = b"", True
    while more:
        try:
            message = await receive()
        except Exception:  # noqa: BLE001
            continue
        data += message.get("body", b"")
        more = message.get("more_body", False)
        if message["type"] == "http.disconnect":
            return
    SEEN.append(data)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"all of it\n"})


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """The same, in the old way."""
    data = b""
    for _ in range(60):
        try:
            piece = environ["wsgi.input"].read(50_000)
        except Exception:  # noqa: BLE001
            continue
        data += piece
        if not piece:
            break
    else:
        return []
    SEEN.append(data)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"all of it\n"]


PROGRAMS: dict[str, Callable[[], Application]] = {
    "app": own,
    "asgi": lambda: AsgiApplication(asgi),
    "wsgi": lambda: WsgiApplication(wsgi),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_body_that_breaks_off_is_no_whole_body(program: str) -> None:
    async def test(fleet: Fleet) -> None:
        reply = await asked(fleet.replica(), event(UPLOAD[:1000], spooled=spool(UPLOAD, kept=SIZE // 2)))
        response = output(reply)
        assert status(response) == 503
        assert b"lost a part of the body" in body(response)
        assert reply.end is not None, "the connection ends with it"

    with_fleet(PROGRAMS[program], test)
    assert all(data != BODY for data in SEEN)
    assert program != "app" or not SEEN


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_body_that_is_there_is_whole(program: str) -> None:
    async def test(fleet: Fleet) -> None:
        response = output(await asked(fleet.replica(), event(UPLOAD[:1000], spooled=spool(UPLOAD))))
        assert (status(response), body(response)) == (200, b"all of it\n")

    with_fleet(PROGRAMS[program], test)
    assert SEEN == [BODY]


def test_a_client_that_cannot_send_it_again_is_told_so_and_nothing_runs() -> None:
    async def test(fleet: Fleet) -> None:
        reply = await asked(fleet.replica(), event()._replace(input_lost=True))
        response = output(reply)
        assert status(response) == 503
        assert b"nothing was done" in body(response)
        assert b"Retry-After: 1" in response
        assert reply.end == len(response)
        assert await asked(fleet.replica(), event()._replace(input_lost=True)) == reply, "it may be asked twice"
        late = await asked(fleet.replica(), event(UPLOAD[:1000], spooled=spool(UPLOAD)))
        assert status(output(late)) == 503

    with_fleet(own, test)
    assert SEEN == []


def test_what_was_done_is_not_denied() -> None:
    async def test(fleet: Fleet) -> None:
        assert status(output(await asked(fleet.replica(), event(UPLOAD[:1000], spooled=spool(UPLOAD))))) == 200
        response = output(await asked(fleet.replica(), event()._replace(input_lost=True)))
        assert status(response) == 503
        assert b"its outcome is unknown" in body(response)

    with_fleet(own, test)
    assert SEEN == [BODY]


def test_a_head_that_is_lost_is_asked_for_again() -> None:
    data = get("/", "Cookie: " + "x" * 5_000)

    async def test(fleet: Fleet) -> None:
        given = event(data[:1000], spooled=spool(data, kept=2_000))
        assert await asked(fleet.replica(), given) == Reply(refusal=Refusal.INPUT_LOST)

    with_fleet(offered, test)


def test_chunks_that_are_lost_are_no_end(tmp_path: Path) -> None:
    data = get("/upload", "Transfer-Encoding: chunked", method="PUT")
    data += b"8000\r\n%b\r\n" % bytes(0x8000) * 200 + b"0\r\n\r\n"

    async def test(fleet: Fleet) -> None:
        given = event(data[:1000], spooled=spool(data, kept=len(data) // 2))
        assert await asked(fleet.replica(), given) == Reply(refusal=Refusal.INPUT_LOST)

    with_fleet(own, test)


def test_a_folder_asks_again_too(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("hello")
    data = get("/page", "Cookie: " + "x" * 5_000)
    served = origin(tmp_path)
    assert served.handle(event(data[:1000], spooled=spool(data, kept=2_000))) == Reply(refusal=Refusal.INPUT_LOST)
    reply = served.handle(event()._replace(input_lost=True))
    assert status(output(reply)) == 503
    assert reply.end == len(output(reply))
    assert status(output(served.handle(event(data[:1000], spooled=spool(data))))) == 200
