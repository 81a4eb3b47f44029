"""A FastAPI program of some twenty routes answers on replicas that lose all they know what it answers under uvicorn."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from tests.support.fastapi_program import LARGE, NOTES, prepare
from tests.support.loop import on_loop
from tests.support.programs import Fleet, fetched
from trickleweb.asgi import AsgiApplication, as_asgi
from trickleweb.asgi.messages import AsgiApp
from trickleweb.server import HttpService

FORM = b"name=J%C3%BCrgen&age=7"
MULTIPART = (
    b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a b.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + LARGE[:200_000] + b"\r\n--xx--\r\n"
)
JSON = b"Content-Type: application/json\r\n"


def get(path: str, headers: bytes = b"", method: str = "GET") -> bytes:
    return b"%s %s HTTP/1.1\r\nHost: example.org\r\n%s\r\n" % (method.encode(), path.encode(), headers)


def put(method: str, path: str, body: bytes, headers: bytes) -> bytes:
    return get(path, b"Content-Length: %d\r\n" % len(body) + headers, method) + body


def chunked(method: str, path: str, *pieces: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return get(path, b"Transfer-Encoding: chunked\r\n", method) + framed + b"0\r\n\r\n"


REQUESTS = {
    "json": get("/"),
    "head of what has only get": get("/", method="HEAD"),
    "parameters": get("/items/7?q=caf%C3%A9+au+lait"),
    "an error of its own": get("/items/101"),
    "a parameter that is none": get("/items/seven"),
    "created": put("POST", "/items", b'{"name": "a", "price": 1.5}', JSON),
    "json that does not fit": put("POST", "/items", b'{"name": "a"}', JSON),
    "json that is none": put("POST", "/items", b"{", JSON),
    "no body": put("POST", "/items", b"", JSON),
    "replaced": put("PUT", "/items/3", b'{"name": "a", "price": 1}', JSON),
    "deleted": get("/items/3", method="DELETE"),
    "lists": get("/list?tag=a&tag=b&tag=%2F"),
    "a list that is missing": get("/list"),
    "html": get("/page"),
    "html, packed": get("/page", b"Accept-Encoding: gzip\r\n"),
    "cookies set": get("/text"),
    "cookies taken": get("/cookies", b"Cookie: a=1; b=2\r\n"),
    "a form": put("POST", "/form", FORM, b"Content-Type: application/x-www-form-urlencoded\r\n"),
    "an upload": put("POST", "/upload", MULTIPART, b"Content-Type: multipart/form-data; boundary=xx\r\n"),
    "a streamed body": put("PUT", "/stream-in", LARGE, b""),
    "a chunked body": chunked("PUT", "/stream-in", b"a" * 10, b"b" * 100_000, b"c"),
    "a stream": get("/stream"),
    "a stream, packed": get("/stream", b"Accept-Encoding: gzip\r\n"),
    "a plain iterator": get("/plain-stream"),
    "events": get("/events", b"Accept: text/event-stream\r\n"),
    "a file": get("/file"),
    "the head of a file": get("/file", method="HEAD"),
    "a range of a file": get("/file", b"Range: bytes=100-299999\r\n"),
    "a range that is none": get("/file", b"Range: bytes=99999999-\r\n"),
    "a redirect": get("/moved"),
    "a slash too many": get("/items/"),
    "a background task": get("/background"),
    "an exception": get("/boom"),
    "a teapot that closes": get("/teapot"),
    "not found": get("/nowhere"),
    "not allowed": get("/items/3", method="PATCH"),
    "options": get("/items", method="OPTIONS"),
    "a static file": get("/static/small.txt"),
    "the head of a static file": get("/static/style.css", method="HEAD"),
    "a static file that is known": get("/static/small.txt", b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n"),
    "a static file that is missing": get("/static/nothing.txt"),
    "its scope": get("/scope?a=1&b=%20", b"X-One: 1\r\nx-two: 2\r\nX-One: 3\r\n"),
    "an odd path": get("/scope/%41%2F%C3%A9/../x"),
    "an upgrade to what is not there": get("/scope", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    "its own documentation": get("/openapi.json"),
}


@asynccontextmanager
async def served(app: AsgiApp) -> AsyncIterator[int]:
    """The port where uvicorn serves a program."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, server_header=False, http="h11"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def answer(port: int, request: bytes) -> bytes:
    """All that comes back to a request, after which the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(closing(request))
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def closing(request: bytes) -> bytes:
    """The request, as the last one on its connection."""
    line_end = request.index(b"\r\n") + 2
    return request[:line_end] + b"Connection: close\r\n" + request[line_end:]


Parsed = tuple[bytes, list[tuple[bytes, bytes]], bytes]


def parsed(raw: bytes) -> Parsed:
    """Status, fields but Date and Server by name, and the body without its chunks' frames.

    The words behind the status are the server's own: here those of RFC 9110, in uvicorn older ones.
    """
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    fields = [(name.lower(), value) for name, value in (line.split(b": ", 1) for line in lines)]
    if (b"transfer-encoding", b"chunked") in fields:
        body = dechunked(body)
    return (
        status[: len("HTTP/1.1 200")],
        sorted(field for field in fields if field[0] not in (b"date", b"server")),
        body,
    )


def dechunked(framed: bytes) -> bytes:
    parts = []
    while not framed.startswith(b"0\r\n"):
        size, _, rest = framed.partition(b"\r\n")
        parts.append(rest[: int(size, 16)])
        framed = rest[int(size, 16) + 2 :]
    return b"".join(parts)


async def on_replicas(program: AsgiApp) -> dict[str, Parsed]:
    """What each request gets of two replicas that answer by turns, and forget everything now and then."""
    applications = [AsgiApplication(program, on_error=lambda _error: None) for _ in range(2)]
    fleet = Fleet(iter(applications).__next__)
    for application in applications:
        await application.startup()
    replicas, found = fleet.two(), dict[str, Parsed]()
    for name, request in REQUESTS.items():

        def forgetful(turn: int) -> HttpService:
            if turn % 9 == 4:
                for replica in replicas:
                    replica.drop_caches()
            return replicas[turn % 2]

        fleet.memory.rows.clear()  # as if each had a connection of its own
        found[name] = parsed((await fetched(forgetful, closing(request), budget=40_000))[0])
        for replica in replicas:
            replica.drop_caches()
    await fleet.close()
    for application in applications:
        await application.shutdown()
    return found


Three = dict[str, tuple[Parsed, Parsed, Parsed]]


@pytest.fixture(scope="module")
def answers() -> Iterator[Three]:
    """What each request gets: under uvicorn, through both adapters under uvicorn, and of replicas."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    program = prepare()
    NOTES.clear()
    adapted = as_asgi(AsgiApplication(program, on_error=lambda _error: None))

    async def ask() -> Three:
        async with served(program) as plain, served(adapted) as through:
            found = {
                name: (parsed(await answer(plain, request)), parsed(await answer(through, request)))
                for name, request in REQUESTS.items()
            }
        replicas = await on_replicas(program)
        return {name: (*both, replicas[name]) for name, both in found.items()}

    yield on_loop(ask())
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_the_answer_is_the_same_byte_for_byte(answers: Three, name: str) -> None:
    plain, through, replicas = answers[name]
    assert plain[0].startswith(b"HTTP/1.1 ")
    assert through == plain
    assert replicas == plain


def test_a_path_above_the_root_is_not_the_programs_to_judge() -> None:
    async def ask() -> bytes:
        async with served(as_asgi(AsgiApplication(prepare(), lifespan="off"))) as port:
            return await answer(port, get("/static/..%2f..%2fetc/passwd"))

    assert on_loop(ask()).startswith(b"HTTP/1.1 400 ")


def test_there_is_something_to_compare(answers: Three) -> None:
    statuses = {plain[0].split()[1] for plain, *_ in answers.values()}
    assert statuses >= {b"200", b"201", b"204", b"206", b"304", b"307", b"404", b"405", b"416", b"418", b"422", b"500"}
    assert answers["a plain iterator"][2][2] == answers["a file"][2][2] == LARGE


def test_the_program_lived_as_usual(answers: Three) -> None:
    assert NOTES.count("started") == NOTES.count("ended") == 4
    assert NOTES.count("behind the response") >= 3  # once for each run: replicas run what is safe again
