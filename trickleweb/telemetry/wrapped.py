"""An application around another: it is the inner one but for what a subclass changes."""

from __future__ import annotations

from trickles.service import Buffer
from trickleweb.application import Application, Terms
from trickleweb.bodies import StepsTable
from trickleweb.messages import Request as Head
from trickleweb.request import Request
from trickleweb.responses import Response


class Wrapped:
    """An `Application` that asks `inner` for everything."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner

    @property
    def steps(self) -> StepsTable:
        """As the inner one's."""
        return self.inner.steps

    def terms(self, head: Head) -> Terms:
        """As the inner one's."""
        return self.inner.terms(head)

    async def respond(self, request: Request) -> Response:
        """As the inner one's."""
        return await self.inner.respond(request)

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """As the inner one's."""
        return self.inner.read(content, start, stop)

    async def startup(self) -> None:
        """As the inner one's."""
        await self.inner.startup()

    async def shutdown(self) -> None:
        """As the inner one's."""
        await self.inner.shutdown()
