"""Response heads, how bodies are delimited, and errors as responses: read back by h11 where that says more."""

import re
from http import HTTPStatus

import h11
import pytest

from tests.support.http_heads import head
from trickleweb.errors import HTTPError, UnsafeHeader
from trickleweb.headers import Headers
from trickleweb.http1 import (
    CONTINUE,
    LAST_CHUNK,
    BodyDelivery,
    chunk_start,
    decide_delivery,
    error_plan,
    method_not_allowed,
    parse_head_untrusted,
    phrase,
    render_head,
    unavailable,
)
from trickleweb.messages import Inline, Plan, RequestHead, Slice
from trickleweb.server.fixed import last_response

NOW = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def request(method: str = "GET", version: str = "1.1", *fields: str) -> RequestHead:
    parsed = parse_head_untrusted(head(*fields, line=f"{method} / HTTP/{version}"))
    assert isinstance(parsed, RequestHead)
    return parsed


def rendered(
    asked: RequestHead, status: int, body_bytes: int | None, *pairs: tuple[str, str], close: bool = False
) -> bytes:
    delivery = decide_delivery(asked, status, body_bytes, close=close)
    return render_head(status, Headers(pairs), delivery, date_seconds=NOW)


def test_a_whole_head() -> None:
    assert rendered(request(), 200, 5, ("Content-Type", "text/plain"), ("X", "caf\xe9"), ("X", "")) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX: caf\xe9\r\nX: \r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: trickleweb\r\nContent-Length: 5\r\n\r\n"
    )


def test_the_program_may_set_date_and_server_but_no_framing() -> None:
    ours = [
        (name, "x")
        for name in ("Content-Length", "transfer-encoding", "Connection", "KEEP-ALIVE", "Upgrade", "Trailer")
    ]
    lines = rendered(request(), 200, 5, ("date", DATE), ("server", "mine"), *ours).split(b"\r\n")
    assert lines == [b"HTTP/1.1 200 OK", b"date: " + DATE.encode(), b"server: mine", b"Content-Length: 5", b"", b""]


CLOSE, KEEP = "Connection: close", "Connection: keep-alive"


@pytest.mark.parametrize(
    ("asked", "status", "body_bytes", "framing", "has_body"),
    [
        (request(), 200, 5, ["Content-Length: 5"], True),
        (request(), 200, 0, ["Content-Length: 0"], False),
        (request(), 200, None, ["Transfer-Encoding: chunked"], True),
        (request(), 204, None, [], False),
        (request(), 204, 0, [], False),
        (request(), 304, 5, [], False),
        (request(), 205, None, ["Content-Length: 0"], False),
        (request("HEAD"), 200, 5, ["Content-Length: 5"], False),
        (request("HEAD"), 200, None, [], False),
        (request("GET", "1.1", CLOSE), 200, 5, ["Content-Length: 5", CLOSE], True),
        (request("GET", "1.1", CLOSE), 200, None, ["Transfer-Encoding: chunked", CLOSE], True),
        (request("GET", "1.0"), 200, 5, ["Content-Length: 5", CLOSE], True),
        (request("GET", "1.0", KEEP), 200, 5, ["Content-Length: 5", KEEP], True),
        (request("GET", "1.0", KEEP), 200, None, [CLOSE], True),
        (request("GET", "1.0", KEEP), 304, None, [KEEP], False),
        (request("HEAD", "1.0", KEEP), 200, None, [KEEP], False),
    ],
)
def test_how_the_body_is_delimited(
    asked: RequestHead, status: int, body_bytes: int | None, framing: list[str], has_body: bool
) -> None:
    lines = rendered(asked, status, body_bytes).decode("latin-1").split("\r\n")
    assert lines[3:-2] == framing
    delivery = decide_delivery(asked, status, body_bytes)
    assert (delivery.has_body, delivery.keep_alive) == (has_body, CLOSE not in framing)
    assert delivery.chunked == ("Transfer-Encoding: chunked" in framing)


def test_the_server_may_end_the_connection() -> None:
    assert b"\r\nConnection: close\r\n" in rendered(request(), 200, 5, close=True)


@pytest.mark.parametrize("name", ["", " ", "X ", "X:", "X\r\nY", "X\n", "X\0", "X\xe9", "\u0130"])
def test_a_name_that_is_no_token_cannot_be_sent(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        rendered(request(), 200, 0, (name, "a"))


@pytest.mark.parametrize(
    "value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "a\n", "\x7f", "\x0b", "\u20ac", "\u560d\u560a", "\udc80"]
)
def test_a_value_that_is_no_line_cannot_be_sent(value: str) -> None:
    with pytest.raises(UnsafeHeader):
        rendered(request(), 200, 0, ("X", value))


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600, 1000, -200])
def test_only_final_statuses_have_a_head(status: int) -> None:
    with pytest.raises(ValueError, match="final status"):
        render_head(
            status, Headers(), BodyDelivery(0, chunked=False, has_body=False, keep_alive=True), date_seconds=NOW
        )


def test_a_status_nobody_named_has_no_reason() -> None:
    assert rendered(request(), 299, 0).startswith(b"HTTP/1.1 299 \r\n")


def read_back(asked: str, answer: bytes) -> tuple[list[int], bytes]:
    """What an independent client makes of `answer`: its statuses and the body."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=asked, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    statuses, body = [], b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response | h11.InformationalResponse):
            statuses.append(event.status_code)
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            raise AssertionError(event)
    return statuses, body


def test_a_chunked_response_is_read_back() -> None:
    answer = CONTINUE + rendered(request(), 200, None) + chunk_start(26) + b"x" * 26 + b"\r\n" + LAST_CHUNK
    assert read_back("GET", answer) == ([100, 200], b"x" * 26)


@pytest.mark.parametrize("size", [0, -1])
def test_an_empty_chunk_cannot_be_written_by_chance(size: int) -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        chunk_start(size)


@pytest.mark.parametrize("html", [False, True])
def test_an_error_is_a_small_page_that_is_never_stored(html: bool) -> None:
    plan = error_plan(HTTPError(404, "<script>&"), html=html)
    (piece,) = plan.pieces
    assert isinstance(piece, Inline)
    assert plan.status == 404
    assert plan.body_bytes == len(piece.data)
    assert b"404 Not Found" in piece.data
    assert (b"<script>" in piece.data) != html
    assert plan.headers.get("content-type") == f"text/{'html' if html else 'plain'}; charset=utf-8"
    assert plan.headers.get("cache-control") == "no-store"
    assert plan.headers.get("x-content-type-options") == "nosniff"


def test_each_status_brings_the_fields_it_needs() -> None:
    assert error_plan(method_not_allowed(["HEAD", "GET", "GET"])).headers.get("allow") == "GET, HEAD"
    assert error_plan(HTTPError(405)).headers.get("allow") == ""
    assert error_plan(unavailable("full", retry_after_seconds=7)).headers.all("retry-after") == ("7",)
    assert error_plan(HTTPError(503)).headers.get("retry-after") == "1"
    assert (
        error_plan(HTTPError(416, headers=(("Content-Range", "bytes */5"),))).headers.get("content-range")
        == "bytes */5"
    )


def test_a_status_without_a_name_still_has_a_page() -> None:
    assert error_plan(HTTPError(499)).pieces == (Inline(b"499\n"),)
    assert str(HTTPError(499)) == "499"


def refusal(error: HTTPError, *, has_body: bool) -> bytes:
    """The last response on a connection, whole."""
    response = last_response(error, NOW, has_body=has_body).response
    assert response.last
    return b"".join(bytes(data) for _, data in response.chunks(0, [(0, 1 << 20)], 1 << 20, lambda *_: b""))


def test_a_refusal_is_a_whole_response_and_the_last() -> None:
    answer = refusal(HTTPError(400, "no Host", close=True), has_body=True)
    assert b"\r\nConnection: close\r\n" in answer
    assert read_back("GET", answer) == ([400], b"400 Bad Request\nno Host\n")


def test_a_refused_head_request_gets_no_body() -> None:
    answer = refusal(HTTPError(400, close=True), has_body=False)
    assert answer.endswith(b"\r\n\r\n")
    assert read_back("HEAD", answer) == ([400], b"")


def test_a_plan_knows_its_length() -> None:
    assert Plan(200).body_bytes == 0
    assert Plan(206, pieces=(Inline(b"--x"), Slice("hash", 10, 15), Slice("hash", 7, 7))).body_bytes == 8


@pytest.mark.parametrize("status", HTTPStatus)
def test_every_status_that_python_knows_has_a_name_of_its_own(status: HTTPStatus) -> None:
    if status >= 200:
        assert re.fullmatch("[A-Z][A-Za-z' -]+", phrase(status))


def test_names_are_those_of_the_rfc_whatever_the_python() -> None:
    named = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
    assert {status: phrase(status) for status in named} == named
    assert rendered(request(), 416, 0).startswith(b"HTTP/1.1 416 Range Not Satisfiable\r\n")
