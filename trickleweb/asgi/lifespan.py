"""The lifespan protocol of ASGI: a program's startup and shutdown, in one task for both."""

from __future__ import annotations

import asyncio

from trickleweb.asgi.messages import LIFESPAN_SPEC_VERSION, VERSION, AsgiApp, Message
from trickleweb.asgi.outgoing import ProgramError
from trickleweb.containment import Contained
from trickleweb.errors import WebError

_STARTUP, _SHUTDOWN = "lifespan.startup", "lifespan.shutdown"
_CONTAINED = Contained("the lifespan")


class LifespanFailed(WebError):
    """A program reported that its startup or shutdown failed; `details` is its message."""

    def __init__(self, what: str, details: str) -> None:
        lines = details.strip().splitlines()
        super().__init__(f"the program's {what} failed" + (f": {lines[-1].strip()}" if lines else ""))
        self.details = details


class AsgiLifespan:
    """Speaks the protocol with one program; `state` is what the program leaves for its requests.

    A program without the protocol (it raises or returns at the first message) is served all the same; with `required`,
    an exception at startup is a failure.
    """

    def __init__(self, app: AsgiApp, *, required: bool = False) -> None:
        self.state: dict[str, object] = {}
        self._app = app
        self._required = required
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = None

    async def startup(self) -> None:
        """Run the program's startup; raise `LifespanFailed` if it fails."""
        loop = asyncio.get_running_loop()
        self._answers = {_STARTUP: loop.create_future(), _SHUTDOWN: loop.create_future()}
        scope = {
            "type": "lifespan",
            "asgi": {"version": VERSION, "spec_version": LIFESPAN_SPEC_VERSION},
            "state": self.state,
        }
        self._task = asyncio.create_task(self._run(scope))
        await self._ask(_STARTUP)
        if self._required:
            self._check("startup")

    async def shutdown(self) -> None:
        """Run the program's shutdown; raise `LifespanFailed` if it fails."""
        if self._task is not None and not self._task.done():
            await self._ask(_SHUTDOWN)
            await self._task
            self._check("shutdown")

    def _check(self, what: str) -> None:
        if self._error is not None:
            raise LifespanFailed(what, f"{type(self._error).__name__}: {self._error}")

    async def _ask(self, what: str) -> None:
        """Send the program a message, and wait for its answer or the end of its run."""
        assert self._task is not None
        self._inbox.put_nowait({"type": what})
        answer = self._answers[what]
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            answer.result()

    async def _run(self, scope: Message) -> None:
        try:
            with _CONTAINED:
                await self._app(scope, self._inbox.get, self._send)
        except Exception as error:  # noqa: BLE001 - most often a program without lifespan support
            self._error = error

    async def _send(self, message: Message) -> None:
        what, _, outcome = str(message.get("type")).rpartition(".")
        answer = self._answers.get(what)
        if answer is None or outcome not in ("complete", "failed") or answer.done():
            raise ProgramError(f"unexpected lifespan message {message.get('type')!r}")
        if outcome == "complete":
            answer.set_result(None)
        else:
            answer.set_exception(LifespanFailed(what.rpartition(".")[2], str(message.get("message", ""))))
            answer.exception()  # retrieved: a program also reports it unasked, when its loop is closed
