"""Programs for WSGI as tests write them, and what comes of one on a replica."""

from collections.abc import Iterable
from typing import Any

from tests.support.hosting import answered, until_idle
from trickleweb.request import Request
from trickleweb.responses import Response
from trickleweb.wsgi import WsgiApplication
from trickleweb.wsgi.running import StartResponse

Environ = dict[str, Any]
PLAIN = [("Content-Type", "text/plain")]


async def ran(program: Any, asked: Request | None = None, **options: Any) -> tuple[Response, bytes]:
    """The response of a program, and its body, once its run is over."""
    application = WsgiApplication(program, **options)
    try:
        found = await answered(application, asked)
        await until_idle(application)
        return found
    finally:
        await application.shutdown()


def returning(*chunks: bytes, headers: list[tuple[str, str]] = PLAIN, status: str = "200 OK") -> Any:
    """A program that answers with these chunks."""

    def program(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, headers)
        return list(chunks)

    return program
