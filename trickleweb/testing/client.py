"""The test client for tests that are plain functions."""

from __future__ import annotations

import asyncio
import weakref
from types import TracebackType
from typing import Self, Unpack

from trickleweb.application import Application
from trickleweb.ledger import Ledger
from trickleweb.testing.answer import Answer
from trickleweb.testing.asking import RequestOptions
from trickleweb.testing.asynchronous import AsyncClient, ClientOptions, Verbs
from trickleweb.testing.cookies import CookieJar


class Client(Verbs[Answer]):
    """Requests in the style of httpx to any `Application`, on a loop of the client's own.

    The context manager starts and ends the application. Code that runs on a loop uses `AsyncClient`.
    """

    def __init__(self, application: Application, **options: Unpack[ClientOptions]) -> None:
        self._inner = AsyncClient(application, **options)
        self._loop = asyncio.new_event_loop()
        weakref.finalize(self, _closed, self._loop)  # if it is not closed

    @property
    def cookies(self) -> CookieJar:
        """Cookies that the application or the test has set."""
        return self._inner.cookies

    @property
    def ledger(self) -> Ledger:
        """The ledger of the application."""
        return self._inner.ledger

    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Return the response, as `AsyncClient.request`; raise RuntimeError once it is closed."""
        if self._loop.is_closed():
            raise RuntimeError("the client is closed")
        return self._loop.run_until_complete(self._inner.request(method, url, **options))

    def close(self) -> None:
        """Close the loop; later requests fail."""
        _closed(self._loop)

    def __enter__(self) -> Self:
        self._loop.run_until_complete(self._inner.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._loop.run_until_complete(self._inner.__aexit__(kind, error, trace))
        finally:
            self.close()


def _closed(loop: asyncio.AbstractEventLoop) -> None:
    """End the tasks of handlers and close the loop, unless another loop runs on this thread."""
    if loop.is_closed():
        return
    if not _a_loop_runs():
        loop.run_until_complete(_drained(loop))
    loop.close()


async def _drained(loop: asyncio.AbstractEventLoop) -> None:
    await loop.shutdown_asyncgens()
    await asyncio.sleep(0)  # collected generators are ended by tasks
    left = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _a_loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
