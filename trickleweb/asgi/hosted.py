"""The base of hosted ASGI and WSGI programs: one run for each request, repeated on another replica to resume."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from trickles.service import Buffer
from trickleweb.application import Terms
from trickleweb.asgi.outgoing import AsgiRun, ProgramError
from trickleweb.bodies import StepsTable
from trickleweb.containment import Contained
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere
from trickleweb.limits import DEFAULT_LIMITS
from trickleweb.messages import RequestHead
from trickleweb.request import Request
from trickleweb.responses import Response, error_response

GRACE_S = 5.0
_NO_STEPS = StepsTable()
_CONTAINED = Contained("the program")
_CONDITIONS = ("if-match", "if-none-match", "if-unmodified-since", "if")  # RFC 9110 13.1, RFC 4918 10.4


def log_error(error: Exception) -> None:
    """Write an error with its traceback to the log `trickleweb`."""
    logging.getLogger("trickleweb").error("%s", error, exc_info=error)


class Hosted:
    """An `Application` that runs a foreign program once for each request, in a task of its own.

    A run outlives its response: background tasks continue. A run whose response lost its reader gets a disconnect, and
    is cancelled `grace_s` seconds later. `on_error` is called with errors that no response shows.
    """

    def __init__(
        self,
        *,
        repeatable_methods: Iterable[str] = (),
        max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
        grace_s: float = GRACE_S,
        on_error: Callable[[Exception], None] = log_error,
    ) -> None:
        self.on_error = on_error
        self._repeatable = frozenset(method.upper() for method in repeatable_methods)
        self.max_body_bytes = max_body_bytes
        self._grace_s = grace_s
        self._runs: dict[asyncio.Task[None], AsgiRun] = {}

    async def run(self, request: Request, outgoing: AsgiRun) -> None:
        """Run the program on a request; it sends its response by `outgoing`."""
        raise NotImplementedError(request, outgoing)

    @property
    def steps(self) -> StepsTable:
        """No steps: a program's state is its own."""
        return _NO_STEPS

    def terms(self, head: RequestHead) -> Terms:
        """Return the same terms for all paths, which only the program knows.

        A request with a condition on the resource's state is not repeatable: its own effect may have changed that.
        """
        repeatable = head.method in self._repeatable and not any(name in head.headers for name in _CONDITIONS)
        return Terms(max_body_bytes=self.max_body_bytes, repeatable=repeatable)

    async def respond(self, request: Request) -> Response:
        """Return the program's response: `Complete` if sent in one message, else `Streamed` while it runs.

        Raise the program's exception from before its response began, `ProgramError` if it broke its interface.
        """
        outgoing = AsgiRun(head_only=request.head.method == "HEAD", on_gone=lambda: self._end_in_time(task))
        task = asyncio.create_task(self._supervised(request, outgoing))
        self._runs[task] = outgoing
        task.add_done_callback(self._forget)
        if (departure := request.setting.departure) is not None:
            departure.on_left(outgoing.disconnect)
            task.add_done_callback(lambda _: departure.forget(outgoing.disconnect))
        try:
            return await outgoing.response()
        except HTTPError as error:
            return error_response(request, error)
        except BaseException:
            outgoing.abandon()
            raise

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """Raise `ContentNotHere`: a program's responses have no planned bodies."""
        raise ContentNotHere(f"{content} [{start}:{stop}]")

    async def startup(self) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """End all runs: ask first, cancel after the grace."""
        for outgoing in self._runs.values():
            outgoing.abandon()
        if self._runs:
            _, late = await asyncio.wait(self._runs, timeout=self._grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _supervised(self, request: Request, outgoing: AsgiRun) -> None:
        error: Exception | None = None
        try:
            with _CONTAINED:
                await self.run(request, outgoing)
        except asyncio.CancelledError:
            outgoing.fail(ProgramError("the program's run was cancelled"))
            raise
        except Exception as exc:  # noqa: BLE001 - any exception of a program is reported, and ends its own response only
            error = exc
        else:
            error = outgoing.left_open()
        if error is not None and not outgoing.fail(error) and not outgoing.gone:
            self.on_error(error)

    def _end_in_time(self, task: asyncio.Task[None]) -> None:
        timer = asyncio.get_running_loop().call_later(self._grace_s, task.cancel)
        task.add_done_callback(lambda _: timer.cancel())

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._runs.pop(task, None)
