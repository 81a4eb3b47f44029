"""A WSGI program as an `Application`: each run on a thread of a bounded pool."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import IO, Any, TypeVar

from trickleweb.asgi.hosted import Hosted
from trickleweb.asgi.outgoing import AsgiRun, body_of
from trickleweb.containment import contained
from trickleweb.errors import WebError
from trickleweb.messages import NoBody
from trickleweb.request import Request
from trickleweb.wsgi.environ import environ_of
from trickleweb.wsgi.running import Run, WsgiApp, body_file

T = TypeVar("T")
THREADS = 32
LOOK_AGAIN_S = 1.0  # between checks of a waiting thread


class ServerEnds(WebError, ConnectionError):
    """The server ended while a program was at work."""


class WsgiApplication(Hosted):
    """A WSGI program; its responses must be equal each time, as those of `AsgiApplication`.

    `threads` bounds the running requests; a streamed response keeps its thread until it is read or abandoned. A thread
    that waits for the loop checks each `look_again_s` seconds that it still runs. The other options are those of
    `Hosted`.
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        script_name: str = "",
        threads: int = THREADS,
        look_again_s: float = LOOK_AGAIN_S,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._look_again_s = look_again_s
        self.program = app
        self._script_name = script_name
        self._threads = threads
        self._pool = self._new_pool()

    async def run(self, request: Request, outgoing: AsgiRun) -> None:
        loop = asyncio.get_running_loop()
        on_loop = partial(_on_loop, loop, self._look_again_s)
        body: IO[bytes] = io.BytesIO()
        if not isinstance(request.head.framing, NoBody):
            body = body_file(body_of(request, outgoing), on_loop)
        environ = environ_of(request, body, script_name=self._script_name)
        run = partial(Run(outgoing, on_loop), self.program, environ)
        await loop.run_in_executor(self._pool, contained, "the program", run)

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="wsgi")

    async def startup(self) -> None:
        """Take a pool of threads for the runs from now on, also after a shutdown."""
        await super().startup()
        self._pool = self._new_pool()

    async def shutdown(self) -> None:
        """End all runs; a thread that is stuck in the program is abandoned."""
        await super().shutdown()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _on_loop(loop: asyncio.AbstractEventLoop, look_again_s: float, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop, from a thread, and return its result; raise `ServerEnds` if the loop ends first."""
    try:
        result = asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:
        work.close()
        raise ServerEnds from None
    while True:
        try:
            return result.result(look_again_s)
        except CancelledError:
            raise ServerEnds from None
        except TimeoutError:
            if result.done():
                raise  # the work's own
            if loop.is_closed():  # it will not run the coroutine
                raise ServerEnds from None
