"""A client of an application in the same process: no sockets, no replicas, complete responses."""

from __future__ import annotations

import secrets
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypedDict, TypeVar, Unpack

from trickles.drivers.keystore import ephemeral_keyring
from trickles.keyring import Keyring
from trickleweb.application import Application
from trickleweb.ledger import Ledger
from trickleweb.request import Setting
from trickleweb.stores import MemoryLedger
from trickleweb.testing.answer import Answer, ResponseHeaders
from trickleweb.testing.asking import RequestOptions, absolute, asked
from trickleweb.testing.collecting import IncompleteResponse, exchange
from trickleweb.testing.cookies import CookieJar

R = TypeVar("R")


class Verbs(Generic[R]):
    """A client in the style of httpx, synchronous or not."""

    @abstractmethod
    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> R:
        """Return the response to a request."""

    def get(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("DELETE", url, **options)


MAX_REDIRECTS = 20


class ClientOptions(TypedDict, total=False):
    """Options of a client and its server."""

    base_url: str
    peer: str  # the client's address
    headers: Mapping[str, str]  # defaults of every request
    follow_redirects: bool
    raise_server_exceptions: bool  # True: raise them here; False: return the client's 500
    now: Callable[[], int]  # microseconds since 1970
    keyring: Callable[[], Keyring]
    ledger: Ledger


def wall_clock() -> int:
    """Return microseconds since 1970."""
    return time.time_ns() // 1000


class AsyncClient(Verbs[Coroutine[Any, Any, Answer]]):
    """Requests in the style of httpx to any `Application`, which the context manager starts and ends."""

    def __init__(self, application: Application, **options: Unpack[ClientOptions]) -> None:
        self.application = application
        self.cookies = CookieJar()
        self.base_url = options.get("base_url", "http://testserver")
        self.headers = dict(options.get("headers", {}))
        self.ledger = options.get("ledger") or MemoryLedger()
        self._peer = options.get("peer", "127.0.0.1")
        self._follow = options.get("follow_redirects", False)
        self._raise = options.get("raise_server_exceptions", True)
        self._now = options.get("now", wall_clock)
        self._keyring = options.get("keyring") or self._own_keyring
        self._ring: Keyring | None = None

    async def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Return the response to a request; raise exceptions of the application, see `raise_server_exceptions`.

        `IncompleteResponse` for a body that breaks off, ValueError after 20 redirects.
        """
        answer = await self._once(method, url, options)
        follow = options.get("follow_redirects", self._follow)
        history: list[Answer] = []
        while follow and answer.is_redirect:
            history.append(answer)
            if len(history) > MAX_REDIRECTS:
                raise ValueError(f"more than {MAX_REDIRECTS} redirects from {url}")
            method, options = _redirected(method, answer.status_code, options)
            answer = await self._once(method, absolute(answer.url, answer.headers["location"]), options, tuple(history))
        return answer

    async def __aenter__(self) -> Self:
        await self.application.startup()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.application.shutdown()

    async def _once(self, method: str, url: str, options: RequestOptions, history: tuple[Answer, ...] = ()) -> Answer:
        sent = asked(method, url, self.base_url, self.headers, self.cookies, options)
        body = sent.content if isinstance(sent.content, bytes) else _pieces(sent.content)
        try:
            done = await exchange(self.application, sent.head, body, self._setting(), options.get("most_bytes"))
        except IncompleteResponse as exc:
            if self._raise and exc.__cause__ is not None:
                raise exc.__cause__ from None
            raise
        if self._raise and done.exception is not None:
            raise done.exception
        for each in done.headers.all("set-cookie"):
            self.cookies.learn(each)
        return Answer(done.status, ResponseHeaders(done.headers), done.content, sent.url, done.made, history)

    def _setting(self) -> Setting:
        seed = secrets.token_bytes(32)
        return Setting(
            now=self._now(),
            seed=lambda: seed,
            peer=self._peer,
            idempotency_key=secrets.token_hex(16),
            keyring=self._keyring,
            ledger=self.ledger,
        )

    def _own_keyring(self) -> Keyring:
        if self._ring is None:
            self._ring = ephemeral_keyring()
        return self._ring


async def _pieces(content: Iterable[bytes] | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(content, AsyncIterator):
        async for piece in content:
            yield piece
    else:
        for piece in content:
            yield piece


def _redirected(method: str, status: int, options: RequestOptions) -> tuple[str, RequestOptions]:
    """Return the next method and options (RFC 9110 15.4): GET after 303, and after 301 and 302 for POST, without a
    body.
    """
    kept: RequestOptions = {"headers": options.get("headers", ()), "cookies": options.get("cookies", {})}
    if status in (307, 308):
        rest: RequestOptions = {**options, "params": ()}
        return method, rest
    if method == "HEAD" or (status != 303 and method != "POST"):
        return method, kept
    return "GET", kept
