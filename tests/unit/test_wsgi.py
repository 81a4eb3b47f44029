"""Programs for WSGI on a replica: PEP 3333 from both sides."""

import asyncio
import io
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.support.hosting import answered, content, slow, until_idle
from tests.support.loop import on_loop
from tests.support.web import request
from tests.support.wsgi import PLAIN, Environ, ran, returning
from trickleweb.asgi import ProgramError
from trickleweb.asgi.outgoing import HELD_BYTES
from trickleweb.bodies import Complete, Streamed
from trickleweb.containment import BrokenOff
from trickleweb.headers import Headers
from trickleweb.responses import Response
from trickleweb.wsgi import WsgiApplication
from trickleweb.wsgi.running import StartResponse


def test_a_body_over_its_limit_is_refused_whatever_the_program_makes_of_it() -> None:
    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except Exception:  # noqa: BLE001 - as frameworks do
            start_response("500 Oh", PLAIN)
        return [b"what was read"]

    asked = request("POST", "/", ("Transfer-Encoding", "chunked"), body=slow(b"12345", b"67890"), max_body_bytes=8)
    assert on_loop(ran(program, asked))[0].status == 413


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        (returning(b"all"), Complete(b"all")),
        (returning(), Complete()),
        (returning(b"a", b"b", headers=[("Content-Length", "2")]), Complete(b"ab")),
        (returning(b"", b"", b"a"), Streamed),
        (returning(b"a", b"b"), Streamed),
        (returning(b"gone", status="204 No Content"), Complete()),
    ],
)
def test_a_list_of_one_is_complete_and_others_where_their_length_is_told(program: Any, kind: Any) -> None:
    response, body = on_loop(ran(program))
    if isinstance(kind, Complete):
        assert response.body == kind
    else:
        assert (type(response.body), body) == (kind, b"ab"[: len(body)])


def test_status_and_headers_are_the_programs() -> None:
    headers = [("X-b", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    response, _ = on_loop(ran(returning(b"x", headers=headers, status="418 I'm a teapot")))
    assert (response.status, response.headers) == (418, Headers(tuple(headers)))


def test_data_may_be_written_before_any_is_returned() -> None:
    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"written, ")
        return [b"returned"]

    assert on_loop(ran(program))[1] == b"written, returned"


def generating(*chunks: bytes) -> Any:
    """A program that is a generator: it runs when it is iterated."""

    def program(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield from chunks

    return program


def test_a_generator_may_begin_when_it_is_iterated() -> None:
    assert on_loop(ran(generating(b"a", b"b")))[1] == b"ab"


def failing_late(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Changes its mind before anything went out."""
    start_response("200 OK", PLAIN)
    try:
        raise LookupError("too late?")
    except LookupError:
        start_response("500 Oops", PLAIN, sys.exc_info())
    return [b"oops"]


def failing_too_late(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Changes its mind when it is too late."""
    start_response("200 OK", PLAIN)
    yield b"so far"
    try:
        raise LookupError("too late")
    except LookupError:
        start_response("500 Oops", PLAIN, sys.exc_info())


def test_a_head_that_is_not_out_may_be_replaced() -> None:
    response, body = on_loop(ran(failing_late))
    assert (response.status, body) == (500, b"oops")


def test_a_head_that_is_out_raises_what_went_wrong() -> None:
    with pytest.raises(LookupError, match="too late"):
        on_loop(ran(failing_too_late))


def starting_twice(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    start_response("200 OK", PLAIN)
    return []


def not_starting(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return [b"data"]


def raising(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise LookupError("in the program")


def exiting(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise SystemExit(2)


def unstarted_generator(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    yield b"data"


WRONG = [
    (starting_twice, ProgramError, "start_response was called twice"),
    (not_starting, ProgramError, "data before start_response"),
    (unstarted_generator, ProgramError, "data before start_response"),
    (raising, LookupError, "in the program"),
    (exiting, BrokenOff, r"ended with SystemExit\(2\)"),
    (returning("text"), ProgramError, "a body is bytes, not str"),  # type: ignore[arg-type]
    (returning(b"a", status="OK"), ProgramError, "'OK' is no status line"),
    (returning(b"a", status="200 OK\r\nX: y"), ProgramError, "no status line"),
    (returning(b"a", status="101 Switching"), ProgramError, "no status line"),
    (returning(b"a", headers=[("X", "a\r\nb")]), ValueError, "HTTP cannot carry"),
    (returning(b"a", headers=["ab", 1]), ProgramError, "pairs of texts"),  # type: ignore[list-item]
    (returning(b"abc", headers=[("Content-Length", "2")]), ProgramError, "3 bytes, not of the announced 2"),
    (returning(b"a", b"b", headers=[("Content-Length", "3")]), ProgramError, "2 bytes, not of the announced 3"),
    (lambda _environ, _start: 7, TypeError, "not iterable"),
]


@pytest.mark.parametrize(("program", "kind", "why"), WRONG, ids=[why for _, _, why in WRONG])
def test_what_a_program_may_not_do_is_an_error(program: Any, kind: type[Exception], why: str) -> None:
    with pytest.raises(kind, match=why):
        on_loop(ran(program))


class Closing:
    """Chunks that tell whether they were closed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.closed = threading.Event()
        self._chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self.closed.set()


def broken() -> Iterator[bytes]:
    yield b"so far"
    raise LookupError("in the middle")


@pytest.mark.parametrize("chunks", [[b"a", b"b"], [], broken()], ids=["whole", "nothing", "broken"])
def test_what_a_program_returned_is_closed(chunks: Iterable[bytes]) -> None:
    closing = Closing(chunks)

    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return closing

    try:
        on_loop(ran(program))
    except LookupError as error:
        assert str(error) == "in the middle"  # noqa: PT017 - one of three raises
    assert closing.closed.is_set()


def test_a_program_waits_while_nobody_takes_and_ends_when_nobody_will() -> None:
    sent = list[int]()

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield bytes(HELD_BYTES)

    closing = Closing(endless())

    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return closing

    async def test() -> None:
        application = WsgiApplication(program, threads=1)
        response = await application.respond(request())
        chunks: Any = response.body.chunks  # type: ignore[union-attr]
        for _ in range(5):
            await anext(chunks)
        assert len(sent) < 9
        await chunks.aclose()
        await until_idle(application)
        assert closing.closed.is_set()
        assert len(sent) < 10
        await application.shutdown()

    on_loop(test())


def test_as_many_run_at_once_as_there_are_threads() -> None:
    meeting = threading.Barrier(3)

    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        meeting.wait(20)
        return returning(b"met")(environ, start_response)  # type: ignore[no-any-return]

    async def test() -> list[bytes]:
        application = WsgiApplication(program, threads=3)
        found = await asyncio.gather(*(answered(application) for _ in range(6)))
        await until_idle(application)
        await application.shutdown()
        return [body for _, body in found]

    assert on_loop(test()) == [b"met"] * 6


def test_files_are_sent_in_large_blocks() -> None:
    reads = list[int]()

    class File(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            reads.append(size or 0)
            return super().read(size)

    file = File(bytes(200_000))

    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return environ["wsgi.file_wrapper"](file, 512)  # type: ignore[no-any-return]

    assert on_loop(ran(program))[1] == bytes(200_000)
    assert reads == [65_536] * 5
    assert file.closed


def test_head_has_the_length_that_the_program_tells() -> None:
    async def test() -> None:
        application = WsgiApplication(returning(b"", headers=[("Content-Length", "1234")]))
        response = await application.respond(request("HEAD"))
        assert response.body == Streamed((), 1234)
        await until_idle(application)
        await application.shutdown()

    on_loop(test())


def test_a_thread_does_not_outlive_the_loop_for_long() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def program(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        try:
            yield b"answer"
            go_on.wait(20)
            yield b"to nobody"
        finally:
            ended.set()

    async def test() -> Response:
        return await WsgiApplication(program, grace_s=0, look_again_s=0.01).respond(request())

    response = on_loop(test())
    assert isinstance(response.body, Streamed)
    go_on.set()
    assert ended.wait(20)


def test_the_content_is_streamed_as_it_is_made() -> None:
    second = threading.Event()

    def program(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"first"
        second.wait(20)
        yield b"second"

    async def test() -> None:
        application = WsgiApplication(program)
        response = await application.respond(request())
        chunks: Any = response.body.chunks  # type: ignore[union-attr]
        assert await anext(chunks) == b"first"
        second.set()
        assert await content(response) == b"second"
        await until_idle(application)
        await application.shutdown()

    on_loop(test())
