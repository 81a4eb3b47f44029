"""Applications whose responses to POST are what a test lets through, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tests.support.origins import body, event, get
from trickles.service import Continuation, Event
from trickleweb import App, Request, Response
from trickleweb.bodies import Complete, Streamed
from trickleweb.headers import Headers
from trickleweb.http1 import decode_chunked

POST = get("/", "Content-Length: 0", method="POST")
LARGE = b"".join(b"%07d\n" % number for number in range(400_000))  # 3.2 MB


class Tap:
    """An application whose response to POST is what a test lets through."""

    def __init__(self, byte_count: int | None = None) -> None:
        self.app = App()
        self.ran = 0
        self.passed = 0  # pieces that the server took
        self.closed = False
        self._pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

        @self.app.post("/")
        async def stream(_request: Request) -> Response:
            self.ran += 1
            return Response(200, Headers(), Streamed(self._body(), byte_count))

    def give(self, *pieces: bytes | Exception | None) -> None:
        for each in pieces:
            self._pieces.put_nowait(each)

    async def _body(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self._pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                self.passed += 1
                yield piece
        finally:
            self.closed = True


def content(response: bytes) -> bytes:
    """The body of as much of a chunked response as came."""
    return b"".join(decode_chunked(body(response)).pieces)


def beyond(known: Continuation, byte_count: int = 50_000) -> Event:
    """A request for what follows on a range."""
    assert known.stop is not None
    return event(b"", known, (known.stop, known.stop + byte_count), budget=byte_count)


def always_returning(*bodies: bytes) -> App:
    """An application that answers POST with the bodies, one after another."""
    app, left = App(), list(bodies)
    app.post("/")(lambda _: Response(200, Headers(), Complete(left.pop(0))))
    return app
