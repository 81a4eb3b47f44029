"""Requests and handlers without a server: what the parser makes of a head, and coroutines run to their end."""

from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, TypeVar

from tests.support.fleetkeys import WALL
from trickleweb.app.errors import ErrorHandlers
from trickleweb.app.pool import WorkerPool
from trickleweb.handlers import Handler, Middleware
from trickleweb.http1 import parse_head_untrusted
from trickleweb.messages import RequestHead
from trickleweb.request import Request, Setting
from trickleweb.responses import Response

T = TypeVar("T")
SEED = bytes(range(32))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for something")


def head(method: str = "GET", target: str = "/", *fields: tuple[str, str]) -> RequestHead:
    """A head as the parser makes it; a Host is there unless one is given."""
    given = fields if any(name.lower() == "host" for name, _ in fields) else (("Host", "example.org"), *fields)
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given), "", ""]
    parsed = parse_head_untrusted("\r\n".join(lines).encode("latin-1"))
    assert isinstance(parsed, RequestHead)
    return parsed


def request(
    method: str = "GET",
    target: str = "/",
    *fields: tuple[str, str],
    body: bytes | AsyncIterator[bytes] = b"",
    seed: bytes = SEED,
    **setting: Any,
) -> Request:
    """A request with a seed, at WALL."""
    return Request(head(method, target, *fields), body, Setting(now=WALL, seed=lambda: seed)._replace(**setting))


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """A body that comes in pieces."""
    for each in data:
        yield each


def composed(handler: Handler, middleware: Sequence[Middleware] = (), errors: ErrorHandlers | None = None) -> Handler:
    """`handler` inside `middleware` as an application has it, the first one outermost."""

    async def as_it_is(_request: Request, response: Response) -> Response:
        return response

    return (errors or error_handlers()).composed(handler, middleware, as_it_is)


def error_handlers() -> ErrorHandlers:
    """Those of an application without any of its own."""
    return ErrorHandlers(WorkerPool())


def returning(response: Response) -> Handler:
    """A handler that returns that."""

    async def handle(_request: Request) -> Response:
        return response

    return handle


def fields(response: Response) -> dict[str, str]:
    """A response's headers, which have each name once."""
    pairs = list(response.headers)
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def ask(handler: Handler, asked: Request) -> Response:
    """The handler's response."""

    async def answer() -> Response:
        return await handler(asked)

    return run(answer())


def collect(items: AsyncIterator[T]) -> list[T]:
    """All that an iterator gives without waiting."""

    async def collected() -> list[T]:
        return [item async for item in items]

    return run(collected())
