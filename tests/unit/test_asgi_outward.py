"""An application under an ASGI server: all kinds of body, errors, limits, the client that goes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fleetkeys import ring
from tests.support.loop import on_loop
from tests.support.site_folder import fill
from trickleweb import App, HTTPError, Request, Response, Routes, Step, steps
from trickleweb.asgi import as_asgi
from trickleweb.asgi.messages import Message, Scope
from trickleweb.testing import Client

TEXT = b"0123456789" * 100_000


@steps("outward", version=1)
async def counted(cursor: int, upto: int) -> AsyncIterator[Step]:
    for number in range(cursor, upto):
        yield f"{number}\n", number + 1


@steps("outward plain", version=1)
def counted_plainly(cursor: int, upto: int) -> Iterator[Step]:
    for number in range(cursor, upto):
        yield f"{number}\n", number + 1


routes = Routes()


@routes.get("/text")
def text(request: Request) -> Response:
    return Response.text("text", headers=[("X-A", "1"), ("X-A", "2")])


@routes.get("/file")
def file(request: Request) -> Response:
    return Response.file("large.bin", folder="files", download="name.bin")


@routes.get("/page")
def page(request: Request) -> Response:
    return Response.template("hello.html", {"name": "<you>"})


@routes.get("/steps")
def stepped(request: Request) -> Response:
    return Response.stepped(counted.at(0, upto=50), media_type="text/plain")


@routes.get("/plain-steps")
def stepped_plainly(request: Request) -> Response:
    return Response.stepped(counted_plainly.at(0, upto=50), media_type="text/plain")


@routes.get("/stream")
async def stream(request: Request) -> Response:
    return Response.stream(str(number) for number in range(50))


@routes.post("/echo")
async def echo(request: Request) -> Response:
    return Response.bytes(request.body)


@routes.post("/streamed-echo", stream=True)
async def streamed_echo(request: Request) -> Response:
    return Response.stream(request.stream())


@routes.get("/sealed")
def sealed(request: Request) -> Response:
    return Response.text(request.unseal("test", request.seal("test", "opened", ttl=10**9)))


@routes.get("/refused")
def refused(request: Request) -> Response:
    raise HTTPError(418, "short and stout", headers=(("X-Pot", "tea"),))


@routes.get("/empty")
def empty(request: Request) -> Response:
    return Response.empty()


PATHS = [
    "/text",
    "/file",
    "/page",
    "/steps",
    "/plain-steps",
    "/stream",
    "/empty",
    "/refused",
    "/nowhere",
    "/static/large.bin",
    "/echo",
]


@pytest.fixture
def app(tmp_path: Path) -> App:
    fill(tmp_path, {"files/large.bin": TEXT, "pages/hello.html": b"Hello {{ name }}!"})
    app = App(templates=tmp_path / "pages", steps=[counted, counted_plainly], max_body_bytes=1000)
    app.include("", routes)
    app.mount("/static", app.folder("files", tmp_path / "files"))
    return app


async def asked(app: App, *requests: tuple[Any, ...], **options: Any) -> list[httpx.Response]:
    """The responses to requests, each a method, a path and, if need be, what httpx takes."""
    transport = httpx.ASGITransport(as_asgi(app, ring=ring, **options))
    async with httpx.AsyncClient(transport=transport, base_url="http://example.org") as http:
        return [
            await http.request(method, path, **(more[0] if more else {"headers": {"Accept": "*/*"}}))
            for method, path, *more in requests
        ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("path", PATHS)
def test_responses_are_those_of_a_replica(app: App, method: str, path: str) -> None:
    (found,) = on_loop(asked(app, (method, path)))
    with Client(app) as client:
        expected = client.request(method, path)
    assert (found.status_code, found.content) == (expected.status_code, expected.content)
    assert sorted(found.headers.multi_items()) == sorted(
        (name.lower(), value) for name, value in expected.headers.fields if name != "Transfer-Encoding"
    )


def test_a_range_of_a_file_is_that_range(app: App) -> None:
    (found,) = on_loop(asked(app, ("GET", "/file", {"headers": {"Range": "bytes=5-14"}})))
    assert (found.status_code, found.content) == (206, b"5678901234")
    assert found.headers["content-disposition"] == 'attachment; filename="name.bin"'


def test_a_path_that_is_refused_is_answered_400(app: App) -> None:
    wire = Wire({"type": "http.request"})
    on_loop(wire_up(app, {**SCOPE, "raw_path": b"/a/../../b"}, wire))
    assert (wire.sent[0]["status"], len(wire.sent)) == (400, 2)


@pytest.mark.parametrize("path", ["/echo", "/streamed-echo"])
def test_bodies_come_whole_or_in_pieces(app: App, path: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for each in (b"a" * 400, b"", b"b" * 400):
            yield each

    whole, chunked = on_loop(asked(app, ("POST", path, {"content": b"whole"}), ("POST", path, {"content": pieces()})))
    assert (whole.content, chunked.content) == (b"whole", b"a" * 400 + b"b" * 400)


def test_a_body_over_the_limit_is_refused(app: App) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield bytes(100)

    found = on_loop(asked(app, ("POST", "/echo", {"content": bytes(1001)}), ("POST", "/echo", {"content": pieces()})))
    assert [(each.status_code, each.headers.get("connection")) for each in found] == [(413, "close")] * 2


def test_the_keyring_is_the_one_that_was_given(app: App) -> None:
    assert on_loop(asked(app, ("GET", "/sealed")))[0].text == "opened"


def test_an_exception_is_answered_500_and_told() -> None:
    class Broken(App):
        async def respond(self, request: Request) -> Response:
            raise LookupError("of the application itself")

    errors = list[Exception]()
    (found,) = on_loop(asked(Broken(), ("GET", "/"), on_error=errors.append))
    assert (found.status_code, [str(error) for error in errors]) == (500, ["of the application itself"])


SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"x")]}


class Wire:
    """The server's side of one scope: what it would receive, and what was sent."""

    def __init__(self, *messages: Message) -> None:
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.sent = list[Message]()
        self.busy = asyncio.Event()
        for message in messages:
            self.inbox.put_nowait(message)

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if len(self.sent) == 10:
            self.busy.set()


async def live(app: App, *messages: str) -> list[Message]:
    wire = Wire(*({"type": message} for message in messages))
    await as_asgi(app)({"type": "lifespan"}, wire.inbox.get, wire.send)
    return wire.sent


def test_the_lifespan_is_the_applications() -> None:
    told, app = list[str](), App()
    app.on_startup(lambda: told.append("startup"))
    app.on_shutdown(lambda: told.append("shutdown"))
    sent = on_loop(live(app, "lifespan.startup", "lifespan.shutdown"))
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert told == ["startup", "shutdown"]


def test_an_application_that_cannot_start_tells_the_server() -> None:
    app, wire = App(), Wire({"type": "lifespan.startup"})

    @app.on_startup
    def fail() -> None:
        raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"):
        on_loop(wire_up(app, {"type": "lifespan"}, wire))
    assert wire.sent == [{"type": "lifespan.startup.failed", "message": "LookupError: no database"}]


async def wire_up(app: App, scope: Scope, wire: Wire) -> None:
    await as_asgi(app)(scope, wire.inbox.get, wire.send)


def test_a_websocket_is_refused_and_an_unknown_scope_an_error() -> None:
    wire = Wire({"type": "websocket.connect"})
    on_loop(wire_up(App(), {"type": "websocket"}, wire))
    assert wire.sent == [{"type": "websocket.close", "code": 1000}]
    with pytest.raises(NotImplementedError, match="telepathy"):
        on_loop(wire_up(App(), {"type": "telepathy"}, wire))


def test_a_request_that_is_cut_is_refused(app: App) -> None:
    wire = Wire({"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"})
    headers = [*SCOPE["headers"], (b"transfer-encoding", b"chunked")]
    on_loop(wire_up(app, {**SCOPE, "method": "POST", "path": "/echo", "headers": headers}, wire))
    assert wire.sent[0]["status"] == 400


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
def test_http2_needs_no_length_and_has_no_field_for_connections(app: App, size: int, status: int) -> None:
    wire = Wire({"type": "http.request", "body": bytes(size)})
    scope = {**SCOPE, "http_version": "2", "method": "POST", "path": "/echo"}
    on_loop(wire_up(app, scope, wire))
    assert wire.sent[0]["status"] == status
    assert b"connection" not in dict(wire.sent[0]["headers"])
    assert (wire.sent[1]["body"] == bytes(size)) == (status == 200)


def test_a_stream_ends_when_the_client_goes() -> None:
    async def test() -> None:
        app, wire, closed = App(), Wire({"type": "http.request"}), list[str]()

        async def endless() -> AsyncIterator[str]:
            try:
                while True:
                    yield "more"
                    await asyncio.sleep(0)
            finally:
                closed.append("closed")

        @app.get("/")
        def stream(request: Request) -> Response:
            return Response.stream(endless())

        serving = asyncio.create_task(wire_up(app, SCOPE, wire))
        await wire.busy.wait()
        wire.inbox.put_nowait({"type": "http.disconnect"})
        await serving
        assert closed == ["closed"]

    on_loop(test())


def test_a_stream_that_breaks_off_is_the_servers_to_end() -> None:
    app, wire = App(), Wire({"type": "http.request"})

    def broken() -> Iterator[str]:
        yield "so far"
        raise LookupError("in the middle")

    app.get("/")(responding(lambda: Response.stream(broken())))
    with pytest.raises(LookupError, match="in the middle"):
        on_loop(wire_up(app, SCOPE, wire))
    assert wire.sent[-1] == {"type": "http.response.body", "body": b"so far", "more_body": True}


def responding(make: Callable[[], Response]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def handler(request: Request) -> Response:
        return make()

    return handler


def test_a_program_mounted_in_another_has_its_own_paths() -> None:
    app, wire = App(), Wire({"type": "http.request"})
    app.get("/inner")(responding(lambda: Response.text("found")))
    on_loop(wire_up(app, {**SCOPE, "path": "/outer/inner", "root_path": "/outer"}, wire))
    assert wire.sent[1]["body"] == b"found"
