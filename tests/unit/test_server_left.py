"""Clients that leave: handlers are cancelled, programs are informed, streams end, and unsafe work goes on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.support.origins import event, get, output, status
from tests.support.programs import Fleet, asked, begun, fetched, replied, settled, with_fleet
from tests.support.taps import LARGE, always_returning
from tests.support.taps import POST as STORED
from tests.support.waiting import Waiting
from trickles.service import Deferred, Refusal, Reply
from trickleweb import App, Request
from trickleweb.application import Application
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import Receive, Scope, Send
from trickleweb.server import HttpService
from trickleweb.stores import MemoryResponses
from trickleweb.wsgi import WsgiApplication

ME = event().connection
POST = get("/", "Content-Length: 0", method="POST")


class Noted(Waiting):
    """Notes what became of its handlers."""

    def __init__(self) -> None:
        super().__init__()
        self.became: list[str] = []

    async def answer(self, _request: Request) -> str:
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.became.append("cancelled")
            raise
        self.became.append("done")
        return "done"

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await self.go_on.wait()
            yield b"second"
        finally:
            self.became.append("closed")


def test_a_handler_is_cancelled_and_a_client_that_is_there_after_all_asks_again() -> None:
    async def test(fleet: Fleet) -> None:
        noted = Noted()
        fleet.make = noted.app
        origin = fleet.replica()
        waiting = origin.handle(event(get()))
        await settled()
        origin.left(b"somebody else")
        await settled()
        assert noted.became == []
        origin.left(ME)
        again = origin.handle(event(get()))
        assert (await replied(waiting)).refusal is Refusal.BUSY
        await settled()
        assert noted.became == ["cancelled"]
        assert origin.busy, "the second run is known by the same name"
        noted.go_on.set()
        assert status(output(await replied(again))) == 200
        assert noted.became == ["cancelled", "done"]
        assert not origin.busy

    with_fleet(App, test)


def test_an_unsafe_request_runs_to_its_end_and_its_response_is_kept() -> None:
    async def test(fleet: Fleet) -> None:
        noted = Noted()
        fleet.make = noted.app
        _, waiting = await left_at_work(fleet)
        noted.go_on.set()
        response = output(await replied(waiting))
        assert status(response) == 200
        assert noted.became == ["done"]
        assert output(await asked(fleet.replica(), event(POST))) == response

    with_fleet(App, test)


def test_a_stream_is_closed_also_for_those_who_wait_for_it() -> None:
    async def test(fleet: Fleet) -> None:
        noted = Noted()
        fleet.make = noted.app
        origin = fleet.replica()
        _, known = await begun(origin, get("/stream"))
        assert known.stop is not None
        parked = origin.handle(event(b"", known, (known.stop, known.stop + 100)))
        assert isinstance(parked, Deferred)
        await settled()
        origin.left(ME)
        assert (await replied(parked)).refusal is Refusal.BUSY
        await settled()
        assert noted.became == ["closed"]
        assert not origin.busy

    with_fleet(App, test)


async def left_at_work(fleet: Fleet) -> tuple[HttpService, Reply | Deferred]:
    """A replica at work on a POST whose client has left, and its reply."""
    origin = fleet.replica()
    waiting = origin.handle(event(POST))
    await settled()
    origin.left(ME)
    return origin, waiting


class Listening:
    """An ASGI program that streams or answers late, and listens for the end of its client."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
        listening = asyncio.ensure_future(self._listen(receive))
        going_on = asyncio.ensure_future(self.go_on.wait())
        await asyncio.wait([listening, going_on])
        if scope["path"] != "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"last"})
        self.heard.append("over")

    async def _listen(self, receive: Receive) -> None:
        self.heard.append((await receive())["type"])


@pytest.mark.parametrize("path", ["/", "/stream"])
def test_a_program_is_informed_before_its_first_byte_and_after_it(path: str) -> None:
    async def test(fleet: Fleet) -> None:
        program = Listening()
        fleet.make = lambda: AsgiApplication(program)
        origin = fleet.replica()
        if path == "/":
            origin.handle(event(get(path)))
        else:
            await begun(origin, get(path))
        await settled()
        assert program.heard == []
        origin.left(ME)
        await settled()
        assert program.heard == ["http.disconnect"]
        program.go_on.set()
        await settled()
        assert program.heard == ["http.disconnect", "over"]
        assert not origin.busy

    with_fleet(App, test)


def test_a_program_that_answers_an_unsafe_request_is_informed_and_decides() -> None:
    async def test(fleet: Fleet) -> None:
        program = Listening()
        fleet.make = lambda: AsgiApplication(program)
        _, waiting = await left_at_work(fleet)
        await settled()
        assert program.heard == ["http.disconnect"]
        program.go_on.set()
        response = output(await replied(waiting))
        assert response.endswith(b"last")
        assert output(await asked(fleet.replica(), event(POST))) == response

    with_fleet(App, test)


def test_the_departure_of_a_request_before_is_not_that_of_the_next() -> None:
    async def test(fleet: Fleet) -> None:
        program = Listening()
        fleet.make = lambda: AsgiApplication(program)
        origin, waiting = await left_at_work(fleet)
        program.go_on.set()
        await replied(waiting)
        await settled()
        program.heard.clear()
        program.go_on.clear()
        origin.handle(event(POST, offset=1000))
        await settled()
        assert program.heard == []
        program.go_on.set()
        await settled()

    with_fleet(App, test)


def threaded(make: Callable[[], Iterator[bytes]]) -> Application:
    """A WSGI program on one thread that streams what `make` gives."""

    def program(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        return make()

    return WsgiApplication(program, threads=1)


def test_iterables_are_closed_and_runs_that_wait_for_a_thread_never_begin() -> None:
    async def test(fleet: Fleet) -> None:
        ran: list[str] = []

        def pieces() -> Iterator[bytes]:
            ran.append("began")
            try:
                while True:
                    yield bytes(100_000)
            finally:
                ran.append("closed")

        fleet.make = lambda: threaded(pieces)
        origin = fleet.replica()
        await begun(origin, get())
        clients = [event(get())._replace(connection=bytes([number] * 32)) for number in range(1, 9)]
        for each in clients:
            origin.handle(each)
        await settled()
        for each in clients:
            origin.left(each.connection)
        origin.left(ME)
        last = event(get())._replace(connection=b"last" * 8)
        assert status(output(await asked(origin, last))) == 200
        assert ran == ["began", "closed", "began"]

    with_fleet(App, test)


def test_the_store_hears_that_a_client_reads_its_response_and_that_it_has_left() -> None:
    noted: list[bool] = []

    async def test(fleet: Fleet) -> None:
        fleet.make = lambda: always_returning(LARGE)
        origin = fleet.replica()
        _, known = await begun(origin, STORED, budget=1000)
        assert noted == [False]
        await asked(origin, event(b"", known, (1000, 1010)))
        assert noted == [False, False], "from memory"
        for _ in range(2):
            origin.left(ME)
        assert noted == [False, False, True]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryResponses, "note_use", lambda *_, over=False: noted.append(over))
        with_fleet(App, test)


class Unsafe:
    """A WSGI program whose POST gives a piece each time it may, and whether that was ended."""

    def __init__(self) -> None:
        self.may = threading.Semaphore(0)
        self.closed = threading.Event()

    def pieces(self, count: int) -> Iterator[bytes]:
        try:
            for _ in range(count):
                self.may.acquire()
                yield b"piece"
        finally:
            self.closed.set()

    def listed(self) -> list[bytes]:
        """A list as programs return, which is iterated slowly."""
        given = self.pieces(2)

        class Slow(list[bytes]):
            def __iter__(self) -> Iterator[bytes]:
                return given

        return Slow([b"piece"] * 2)


def test_the_iterable_of_an_unsafe_request_is_closed_after_its_next_piece() -> None:
    async def test(fleet: Fleet) -> None:
        unsafe = Unsafe()
        fleet.make = lambda: threaded(lambda: unsafe.pieces(100))
        origin = fleet.replica()
        unsafe.may.release()
        await begun(origin, POST)
        origin.left(ME)
        unsafe.may.release()
        waiting = origin.handle(event(POST)._replace(connection=b"last" * 8))  # for the only thread
        assert await asyncio.to_thread(unsafe.closed.wait, 20)
        unsafe.may.release(100)
        assert status(output(await replied(waiting))) == 200
        assert fleet.errors == []

    with_fleet(App, test)


def test_what_an_unsafe_request_does_before_its_first_byte_and_after_its_last_piece_was_made_goes_on() -> None:
    async def test(fleet: Fleet) -> None:
        unsafe = Unsafe()
        fleet.make = lambda: threaded(unsafe.listed)  # type: ignore[arg-type]
        origin, waiting = await left_at_work(fleet)
        unsafe.may.release()
        reply = await replied(waiting)
        unsafe.may.release()
        assert await asyncio.to_thread(unsafe.closed.wait, 20)
        response, _ = await fetched(lambda _: origin, POST)
        assert response.endswith(b"5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\n")
        assert response.startswith(output(reply))
        assert fleet.errors == []

    with_fleet(App, test)
