"""An application whose handlers wait until they may go on."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from trickleweb import App, Request, Response


class Waiting:
    """GET and POST of / give `answer`, and /stream gives `pieces`: a test says which."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def answer(self, request: Request) -> str:
        raise NotImplementedError

    def pieces(self) -> AsyncIterator[bytes] | Iterator[bytes]:
        raise NotImplementedError

    def app(self) -> App:
        app = App()

        @app.get("/")
        @app.post("/")
        async def handle(request: Request) -> Response:
            return Response.text(await self.answer(request))

        @app.get("/stream")
        async def stream(_request: Request) -> Response:
            return Response.stream(self.pieces())

        return app
