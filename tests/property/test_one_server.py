"""Random applications answer alike by the test client, as ASGI programs, and on replicas: responses and refusals."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.agreement import Outcome, all_outcomes, outcomes_of_head
from trickleweb import App, HTTPError, Request, Response, Step
from trickleweb.application import Application
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import Receive, Scope, Send
from trickleweb.bodies import Body, Complete, FileBody, Streamed
from trickleweb.bodies.iteration import StepTooLarge
from trickleweb.headers import Headers
from trickleweb.server.limits import DEFAULT_SERVER_LIMITS
from trickleweb.testing import Client, VirtualFleet


class Panic(BaseException):
    """As extension modules and green threads raise them."""


UNUSUAL: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "group": lambda: BaseExceptionGroup("some", [ValueError(), Panic()]),
    "Panic": Panic,
}
MOST_BODY_BYTES = 1000
MIB = 1 << 20
METHODS = st.sampled_from(["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
STATUSES = st.sampled_from([200, 200, 201, 204, 205, 304, 404, 500])
SIZES = st.sampled_from([0, 1, 50, 700, 5_000, 70_000])
FILE = bytes(range(256)) * 30


@dataclass(frozen=True)
class Spec:
    """What an application does with a request."""

    kind: str
    status: int = 200
    sizes: tuple[int, ...] = (10,)
    told: int | None = None  # the length that it announces, as a difference from the true one
    fails_at: int | None = None  # part before which it raises
    error: str = "ValueError"
    is_async: bool = True
    close: bool = False


SPECS = st.builds(
    Spec,
    st.sampled_from(["bytes", "file", "page", "steps", "stream", "asgi", "asgi", "raises"]),
    STATUSES,
    st.lists(SIZES, max_size=4).map(tuple),
    st.sampled_from([None, None, 0, 1, -1]),
    st.sampled_from([None, None, None, 0, 1, 2]),
    st.sampled_from(["ValueError", "HTTPError", "bad part", *UNUSUAL]),
    st.booleans(),
    st.booleans(),
)
ACCEPTS = st.sampled_from([{}, {"Accept": "text/html"}, {"Accept": "application/json"}])
RANGES = st.sampled_from(
    [
        {},
        {},
        {"Range": "bytes=5-20"},
        {"Range": "bytes=0-3, 10-12"},
        {"Range": "bytes=99999-"},
        {"If-None-Match": "*"},
        {"If-Match": '"other"'},
        {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ]
)
WHOLE = [None, None, b"", b"abc", b"x" * MOST_BODY_BYTES, b"x" * (MOST_BODY_BYTES + 1), b"x" * 70_000]
IN_CHUNKS = [[b"ab", b"c"], [b"x" * 900, b"y" * 101], [b"z" * 70_000]]
BODIES = st.sampled_from([*WHOLE, *IN_CHUNKS])


def parts(spec: Spec) -> Iterator[Any]:
    """What the application gives, one after another; or the error in its place."""
    for at, size in enumerate(spec.sizes):
        if at == spec.fails_at:
            if spec.error == "bad part":
                yield 17
            raise failure(spec)
        yield bytes([65 + at]) * size
    if spec.fails_at is not None and spec.fails_at >= len(spec.sizes):
        raise failure(spec)


def failure(spec: Spec) -> BaseException:
    made = UNUSUAL.get(spec.error)
    return made() if made else HTTPError(418, "a teapot") if spec.error == "HTTPError" else ValueError("oops")


def announced(spec: Spec) -> int | None:
    return None if spec.told is None else max(sum(spec.sizes) + spec.told, 0)


def app_of(spec: Spec, folder: Path) -> Application:
    return foreign(spec) if spec.kind == "asgi" else own(spec, folder)


def own(spec: Spec, folder: Path) -> App:
    app = App(max_body_bytes=MOST_BODY_BYTES)
    app.folder("files", folder)

    async def slowly() -> AsyncIterator[Any]:
        for part in parts(spec):
            yield part

    @app.steps("some")
    def some(cursor: int) -> Iterator[Step]:
        for at, part in enumerate(parts(spec)):
            if at >= cursor:
                yield part, at + 1

    @app.route("/", methods=["GET", "POST", "PUT"])
    def handle(request: Request) -> Response:
        if spec.kind == "raises":
            raise failure(spec)
        bodies: dict[str, Callable[[], Body]] = {
            "bytes": lambda: Complete(bytes(sum(spec.sizes))),
            "file": lambda: FileBody("a.txt" if spec.sizes else "none", "files"),
            "page": lambda: FileBody("a.txt" if spec.sizes else "none", "files"),
            "steps": lambda: some.at(0),
            "stream": lambda: Streamed(slowly() if spec.is_async else parts(spec), announced(spec)),
        }
        status = 200 if spec.kind == "file" else spec.status
        return Response(status, Headers((("X-A", "1"), ("X-A", "2"))), bodies[spec.kind](), close=spec.close)

    return app


def foreign(spec: Spec) -> AsgiApplication:
    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        if spec.is_async:
            while (await receive()).get("more_body"):
                pass
        length = announced(spec)
        headers = [(b"x-a", b"1"), (b"x-a", b"2")]
        headers += [] if length is None else [(b"content-length", b"%d" % length)]
        if spec.fails_at == 0 and spec.error != "bad part":
            raise failure(spec)
        await send({"type": "http.response.start", "status": spec.status, "headers": headers})
        found = list(parts(Spec("", sizes=spec.sizes)))
        for at, part in enumerate(found):
            if at == spec.fails_at:
                raise failure(spec)
            await send({"type": "http.response.body", "body": part, "more_body": at + 1 < len(found)})
        if not found and spec.error != "bad part":
            await send({"type": "http.response.body", "body": b""})

    return AsgiApplication(program, lifespan="off", max_body_bytes=MOST_BODY_BYTES)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "a.txt").write_bytes(FILE)
        os.utime(Path(name) / "a.txt", (1_000_000_000, 1_000_000_000))
        yield Path(name)


def check(make: Callable[[], Application], method: str, **options: Any) -> Outcome:
    """All agree; what they agree on comes back.

    Of a response that breaks off, clients of a fleet may get less: what is on its way at its end is not waited for.
    """
    return agreed(all_outcomes(make, method, "/", **options))


def agreed(found: dict[str, Outcome]) -> Outcome:
    """The outcome of all. Chunks are the matter of an ASGI program's server."""
    client, replicas = found["client"], found["replicas"]
    assert found["asgi"] == client.without("transfer-encoding")
    if replicas.broken:
        assert client.body.startswith(replicas.body)
        replicas = replace(replicas, body=client.body)
    assert replicas.without("connection") == client.without("connection")
    return client


@pytest.mark.slow
@given(SPECS, METHODS, ACCEPTS, RANGES, BODIES)
@settings(max_examples=300)
@example(Spec("stream", sizes=(50, 50), fails_at=1), "GET", {}, {}, None)
@example(Spec("stream", sizes=(50, 50), fails_at=1), "POST", {}, {}, None)
@example(Spec("steps", sizes=(0,), fails_at=0, error="SystemExit"), "GET", {}, {}, None)
@example(Spec("stream", sizes=(0,), fails_at=0, error="SystemExit"), "POST", {}, {}, None)
def test_all_ways_agree(
    folder: Path, spec: Spec, method: str, accept: dict[str, str], ranges: dict[str, str], body: Any
) -> None:
    content = {} if body is None else {"content": body}
    check(lambda: app_of(spec, folder), method, headers={**accept, **ranges}, **content)


@pytest.mark.parametrize("error", UNUSUAL)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", ["raises", "stream", "steps", "asgi"])
def test_exceptions_that_are_no_exception_end_one_response_everywhere(
    folder: Path, error: str, method: str, kind: str
) -> None:
    for is_async in (True, False):
        spec = Spec(kind, sizes=(5, 5), fails_at=1, error=error, is_async=is_async)
        found = check(lambda: app_of(spec, folder), method)  # noqa: B023 - called at once
        assert (found.status, found.broken) == ((500, False) if kind in ("raises", "asgi") else (200, True))


HOST = b"Host: testserver\r\n"
ODD_HEADS = {
    b'GET /"a" HTTP/1.1\r\n' + HOST: 301,
    b"POST /a<?q={ HTTP/1.1\r\n" + HOST: 308,
    "GET /caf\xe9 HTTP/1.1\r\n".encode() + HOST: 301,
    b"GET /\xff HTTP/1.1\r\n" + HOST: 400,
    b"GET /%zz HTTP/1.1\r\n" + HOST: 400,
    b"GET /a/../.. HTTP/1.1\r\n" + HOST: 400,
    b"GET /%00 HTTP/1.1\r\n" + HOST: 400,
    b"GET /a#b HTTP/1.1\r\n" + HOST: 400,
    b"GET a HTTP/1.1\r\n" + HOST: 400,
    b"GET * HTTP/1.1\r\n" + HOST: 400,
    b"OPTIONS * HTTP/1.1\r\n" + HOST: 204,
    b"CONNECT testserver:80 HTTP/1.1\r\n" + HOST: 501,
    b"GET http://testserver/ HTTP/1.1\r\n" + HOST: 200,
    b"GET http://te\\st/ HTTP/1.1\r\n" + HOST: 400,
    b"HEAD / HTTP/1.1\r\n" + HOST: 200,
    b"HEAD / HTTP/1.1\r\nHost: a b\r\n": 400,
    b"GET / HTTP/1.1\r\n": 400,
    b"GET / HTTP/1.1\r\nHost:\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: user@testserver\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: testserver:99999\r\n": 400,
    b"GET / HTTP/1.0\r\n": 200,
    b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST: 200,
    b"GET / HTTP/1.1\r\nExpect: nonsense\r\n" + HOST: 417,
    b"GET / HTTP/1.1\r\na b: c\r\n" + HOST: 400,
    b"GET / HTTP/1.1\r\na: \x01\r\n" + HOST: 400,
    b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n" + HOST: 414,
    b"M" * 9000 + b" / HTTP/1.1\r\n" + HOST: 501,
    b"GET / HTTP/1.1\r\na: " + b"b" * 66_000 + b"\r\n" + HOST: 431,
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 129 + HOST: 431,
    b"GET / HTTP/1.1\r\nAccept: application/json\r\n": 400,
    b"BREW / HTTP/1.1\r\n" + HOST: 405,
}


@pytest.mark.parametrize("head", ODD_HEADS, ids=lambda head: repr(head[:40]))
def test_odd_heads_are_answered_alike(folder: Path, head: bytes) -> None:
    found = agreed(outcomes_of_head(partial(app_of, Spec("bytes"), folder), head + b"\r\n"))
    assert found.status == ODD_HEADS[head]
    closes = b"Connection: close" in head or b"HTTP/1.0" in head or found.status not in (200, 204, 405)
    assert (("connection", "close") in found.fields) == closes


OWN_FRAMING = (
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Upgrade",
    "Trailer",
    "Keep-Alive",
    "Proxy-Connection",
)


@pytest.mark.parametrize("sized", [True, False])
def test_the_framing_is_the_servers_everywhere(sized: bool) -> None:
    def make() -> App:
        app = App()

        @app.get("/")
        def handle(request: Request) -> Response:
            body = Complete(b"four") if sized else Streamed([b"four"])
            return Response(200, Headers(tuple((name, "7") for name in OWN_FRAMING)), body)

        return app

    found = check(make, "GET")
    assert found.body == b"four"
    assert found.fields == ((("content-length", "4"),) if sized else (("transfer-encoding", "chunked"),))


def test_a_step_of_two_mib_breaks_the_response_off_everywhere(folder: Path) -> None:
    found = check(lambda: own(Spec("steps", sizes=(10, 2 * MIB)), folder), "GET")
    assert (found.status, found.body, found.broken) == (200, b"A" * 10, True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream", "bytes", "asgi"])
def test_a_post_that_returns_two_megabytes_arrives_everywhere(folder: Path, kind: str) -> None:
    spec = Spec(kind, sizes=(1_000_000, 1_000_000))
    found = check(lambda: app_of(spec, folder), "POST")
    assert (found.status, len(found.body), found.broken) == (200, 2_000_000, False)
    assert found.body == check(lambda: app_of(spec, folder), "GET").body


@pytest.fixture
def small_responses() -> Iterator[None]:
    """All servers store responses of 100 kB at most."""
    usual = DEFAULT_SERVER_LIMITS.response_bytes
    object.__setattr__(DEFAULT_SERVER_LIMITS, "response_bytes", 100_000)
    yield
    object.__setattr__(DEFAULT_SERVER_LIMITS, "response_bytes", usual)


@pytest.mark.usefixtures("small_responses")
@pytest.mark.parametrize("told", [0, None])
def test_a_post_that_returns_more_than_may_be_stored_is_refused_or_breaks_off_everywhere(
    folder: Path, told: int | None
) -> None:
    found = check(lambda: own(Spec("stream", sizes=(70_000, 70_000), told=told), folder), "POST")
    if told is None:
        assert (found.status, found.body, found.broken) == (200, b"A" * 70_000, True)
    else:
        assert (found.status, found.broken) == (500, False)
        assert b"too large to be stored" in found.body


TOO_LARGE = [
    ("GET", Spec("steps", sizes=(10, 2 * MIB)), StepTooLarge),
]


@pytest.mark.parametrize(("method", "spec", "error"), TOO_LARGE)
def test_the_test_client_raises_what_replicas_report(
    folder: Path, method: str, spec: Spec, error: type[Exception]
) -> None:
    request = f"{method} / HTTP/1.1\r\nHost: testserver\r\nContent-Length: 0\r\n\r\n".encode()
    reported = asyncio.run(VirtualFleet(lambda: own(spec, folder)).fetch(request)).errors
    with pytest.raises(error) as raised:
        Client(own(spec, folder)).request(method, "/")
    assert str(raised.value) in {str(each) for each in reported}


@pytest.mark.parametrize("content", [b"x" * (MOST_BODY_BYTES + 1), [b"x" * 600, b"y" * 600]], ids=["length", "chunks"])
def test_a_body_too_long_is_a_413_everywhere(folder: Path, content: Any) -> None:
    for spec in (Spec("bytes"), Spec("asgi", is_async=False), Spec("raises")):
        found = check(partial(app_of, spec, folder), "POST", content=content)
        assert found.status == 413
        assert ("connection", "close") in found.fields
