"""Responses as `trickleweb get` reads them from a stream, cut and garbled in every way."""

from collections.abc import Coroutine
from typing import TypeVar

import pytest

from trickles.command import CommandFailed
from trickleweb.cli.download import ResponseHead, body, read_answer, request
from trickleweb.errors import HTTPError

Result = TypeVar("Result")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX: y\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\n\r\n"


class Pieces:
    """A stream that gives these pieces, one for each read."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def read(self, size: int = -1) -> bytes:
        """The next piece."""
        return self._pieces.pop(0) if self._pieces else b""


def fetched(*pieces: bytes) -> tuple[ResponseHead, bytes]:
    async def fetch() -> tuple[ResponseHead, bytes]:
        stream = Pieces(*pieces)
        answer = await read_answer(stream)
        return answer, b"".join([data async for data in body(stream, answer)])

    return at_once(fetch())


def at_once(coroutine: Coroutine[object, None, Result]) -> Result:
    """What a coroutine returns that never waits: a loop for each cut would take long."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    value: Result = stopped.value.value
    return value


def test_the_request_ends_the_connection() -> None:
    assert request("/a?b", "h:1") == (
        b"GET /a?b HTTP/1.1\r\nHost: h:1\r\nUser-Agent: trickleweb\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize("whole", [HEAD + b"0123456789", CHUNKED], ids=["length", "chunked"])
def test_a_response_is_read_wherever_it_is_cut(whole: bytes) -> None:
    for cut in range(1, len(whole)):
        answer, data = fetched(whole[:cut], whole[cut:])
        assert (answer.status, data) == (200, b"0123456789"), cut
    assert fetched(*(whole[at : at + 1] for at in range(len(whole))))[1] == b"0123456789"


@pytest.mark.parametrize("whole", [HEAD + b"0123456789", CHUNKED], ids=["length", "chunked"])
def test_a_response_that_ends_too_soon_is_told(whole: bytes) -> None:
    for size in range(len(whole)):
        with pytest.raises(CommandFailed):
            fetched(whole[:size])


def test_without_a_length_the_end_is_the_end() -> None:
    assert fetched(b"HTTP/1.0 404 Not Found\r\n\r\n", b"so", b"rry")[1] == b"sorry"


def test_what_follows_the_body_is_not_part_of_it() -> None:
    assert fetched(HEAD + b"0123456789HTTP/1.1 200 OK\r\n")[1] == b"0123456789"


def test_a_body_of_nothing_is_complete_at_once() -> None:
    answer, data = fetched(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, answer.length, data) == (204, 0, b"")


@pytest.mark.parametrize("junk", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 70_000])
def test_what_is_no_response_is_told(junk: bytes) -> None:
    with pytest.raises(CommandFailed, match="does not speak HTTP"):
        fetched(junk)


def test_bad_chunks_are_refused() -> None:
    with pytest.raises(HTTPError):
        fetched(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
