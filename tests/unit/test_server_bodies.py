"""Request bodies at a site that wants none: dropped where they are there, not waited for where they are not."""

from pathlib import Path

import pytest

from tests.support.origins import FileServer, begun, body, event, fields, get, origin, output, spool, status
from tests.support.site_folder import fill
from trickles.service import Reply, Spooled

HELLO = b"Hello, world\n"


@pytest.fixture
def server(tmp_path: Path) -> FileServer:
    return origin(fill(tmp_path, {"hello.txt": HELLO, "index.html": b"<h1>Home</h1>"}))


@pytest.mark.parametrize(
    "payload", [b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"]
)
def test_a_body_that_nobody_wants_is_read_and_dropped(server: FileServer, payload: bytes) -> None:
    request = get("/hello.txt")[:-2] + payload
    for cut in range(len(request)):
        assert server.handle(event(request[:cut])) == Reply(), cut
    response, known = begun(server, request + get())
    assert (body(response), known.consumed) == (HELLO, len(request))
    cut_off = server.handle(event(request[:-1], end=True))
    assert status(output(cut_off)) == 400


@pytest.mark.parametrize(
    ("fields_", "expected"),
    [
        (("Content-Length: 65537",), 413),
        (("Transfer-Encoding: chunked",), 413),
        (("Content-Length: 10", "Expect: 100-continue"), 200),
    ],
)
def test_a_body_that_is_not_worth_waiting_for_ends_the_connection(
    server: FileServer, fields_: tuple[str, ...], expected: int
) -> None:
    given = get("/hello.txt", *fields_) + (b"10001\r\n" if "Transfer" in fields_[0] else b"")
    reply = server.handle(event(given))
    response = output(reply)
    assert (status(response), fields(response)["connection"], reply.end) == (expected, "close", len(response))


@pytest.mark.parametrize("field", ["Content-Length: 5", "Content-Length: 999999999", "Transfer-Encoding: chunked"])
def test_a_refused_request_is_not_asked_for_its_body(server: FileServer, field: str) -> None:
    reply = server.handle(event(get("/hello.txt", field, "Expect: 100-continue", method="PUT")))
    response = output(reply)
    assert (status(response), fields(response)["connection"], reply.end) == (405, "close", len(response))
    assert fields(response)["allow"] == "GET, HEAD, OPTIONS"


def test_a_refused_request_whose_body_is_there_keeps_the_connection(server: FileServer) -> None:
    request = get("/hello.txt", "Content-Length: 5", method="POST") + b"12345"
    response, known = begun(server, request)
    assert (status(response), known.consumed) == (405, len(request))
    assert "connection" not in fields(response)


def test_a_refused_request_with_a_body_that_is_nonsense_ends_the_connection(server: FileServer) -> None:
    reply = server.handle(event(get("/", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n"))
    assert status(output(reply)) == 405
    assert reply.end == len(output(reply))


def test_a_body_in_the_spool_is_dropped_unread(server: FileServer) -> None:
    request = get("/hello.txt", "Content-Length: 60000")

    def never(start: int, stop: int) -> bytes:
        raise AssertionError((start, stop))

    reply = server.handle(event(request, spooled=Spooled(0, len(request) + 60_000, never)))
    assert reply.continuation is not None
    assert reply.continuation.consumed == len(request) + 60_000


def test_a_chunked_body_is_read_from_the_spool(server: FileServer) -> None:
    request = get("/hello.txt", "Transfer-Encoding: chunked") + b"1\r\n.\r\n" * 20_000 + b"0\r\n\r\n"
    reply = server.handle(event(request[:1000], spooled=spool(request + get())))
    assert reply.continuation is not None
    assert reply.continuation.consumed == len(request)
