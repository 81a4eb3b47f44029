"""Run an ASGI program (FastAPI, Starlette, Quart, Django ...) on replicas."""

from __future__ import annotations

from typing import Any

from trickleweb.asgi.hosted import Hosted
from trickleweb.asgi.lifespan import AsgiLifespan
from trickleweb.asgi.messages import AsgiApp, AsgiReceiver, AsgiSender
from trickleweb.asgi.outgoing import AsgiRun
from trickleweb.asgi.scope import http_scope
from trickleweb.request import Request


class AsgiApplication(Hosted):
    """An ASGI 3 program as an `Application`; another replica resumes a safe request by running it again.

    The program's response to a safe request must therefore be the same each time, byte for byte, or the transfer ends
    with an error. `lifespan`: "auto" also serves programs without the protocol, "on" takes an exception at startup for
    a failure, "off" does not use it. The other options are those of `Hosted`.
    """

    def __init__(self, app: AsgiApp, *, root_path: str = "", lifespan: str = "auto", **options: Any) -> None:
        super().__init__(**options)
        if lifespan not in ("auto", "on", "off"):
            raise ValueError(f"lifespan is auto, on or off, not {lifespan!r}")
        self.program = app
        self._root_path = root_path
        self._lifespan = None if lifespan == "off" else AsgiLifespan(app, required=lifespan == "on")

    async def run(self, request: Request, outgoing: AsgiRun) -> None:
        state = self._lifespan.state if self._lifespan else None
        scope = http_scope(request, root_path=self._root_path, state=state)
        await self.program(scope, AsgiReceiver(request, outgoing), AsgiSender(outgoing))

    async def startup(self) -> None:
        """Run the program's startup; raise `LifespanFailed` if it fails."""
        if self._lifespan is not None:
            await self._lifespan.startup()

    async def shutdown(self) -> None:
        """End all runs, then run the program's shutdown."""
        await super().shutdown()
        if self._lifespan is not None:
            await self._lifespan.shutdown()
