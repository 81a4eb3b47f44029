"""One application asked in three ways: by the test client, as an ASGI program, and on a fleet of virtual replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from trickleweb.application import Application
from trickleweb.asgi import as_asgi
from trickleweb.http1 import decode_chunked, parse_head_untrusted
from trickleweb.messages import NeedMore
from trickleweb.testing import AsyncClient, IncompleteResponse, VirtualFleet
from trickleweb.testing.asking import Asked, RequestOptions, asked
from trickleweb.testing.cookies import CookieJar

FRAMING = frozenset({"date", "server", "connection", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a client sees of a response but its Date and framing; `broken`: it ends before its end."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    broken: bool


def outcome(status: int, fields: Iterable[tuple[str, str]], body: bytes, *, broken: bool) -> Outcome:
    """The outcome with its fields in one order; the values of one name keep theirs."""
    kept = [(name.lower(), value) for name, value in fields if name.lower() not in FRAMING]
    return Outcome(status, tuple(sorted(kept, key=lambda field: field[0])), body, broken)


def all_outcomes(make: Callable[[], Application], method: str, path: str, **options: Any) -> dict[str, Outcome]:
    """What each of the three ways gives; `options` are the test client's."""
    sent = asked(method, path, "http://testserver", {}, CookieJar(), RequestOptions(**options))  # type: ignore[typeddict-item]
    return {
        "client": asyncio.run(by_client(make(), method, path, RequestOptions(**options))),  # type: ignore[typeddict-item]
        "asgi": asyncio.run(by_asgi(make(), sent)),
        "replicas": asyncio.run(by_replicas(make, sent)),
    }


async def by_client(application: Application, method: str, path: str, options: RequestOptions) -> Outcome:
    """The test client's outcome; of a body that breaks off, status and fields come from its head."""
    async with AsyncClient(application, raise_server_exceptions=False) as client:
        try:
            answer = await client.request(method, path, **options)
        except IncompleteResponse as error:
            return outcome(error.status, error.headers, error.content, broken=True)
        return outcome(answer.status_code, answer.headers.fields, answer.content, broken=False)


async def by_asgi(application: Application, sent: Asked) -> Outcome:
    """What an ASGI server gets: it closes the connection where the program raises in the middle of its response."""
    head = parse_head_untrusted(sent.head)
    assert not isinstance(head, NeedMore)
    scope = {
        "type": "http", "http_version": "1.1", "method": head.method, "scheme": "http", "path": head.path,
        "raw_path": head.raw_path.encode(), "query_string": head.query.encode(), "client": ("127.0.0.1", 1),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in head.headers],
    }  # fmt: skip
    pieces = list(pieces_of(sent.content))
    inbox = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
    inbox.append({"type": "http.request", "body": b"", "more_body": False})
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if inbox:
            return inbox.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        messages.append(message)

    program, broken = as_asgi(application, on_error=lambda _: None), False
    await application.startup()
    try:
        await program(scope, receive, send)
    except Exception:  # noqa: BLE001 - the server closes the connection
        broken = True
    finally:
        await application.shutdown()
    start, *rest = messages
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    body = b"".join([each["body"] for each in rest])
    return outcome(start["status"], fields, body, broken=broken)


async def by_replicas(make: Callable[[], Application], sent: Asked) -> Outcome:
    """What a client gets from a fleet."""
    got = await VirtualFleet(make).fetch(sent.head + framed(sent.content))
    head, _, rest = got.data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    named = {name.lower(): value for name, value in fields}
    body = rest
    if named.get("transfer-encoding") == "chunked":
        body = b"".join(decode_chunked(rest).pieces)
    return outcome(int(first[9:12]), fields, body, broken=got.failure is not None)


def pieces_of(content: bytes | Iterable[bytes] | AsyncIterator[bytes]) -> Iterable[bytes]:
    """A body's pieces."""
    assert not isinstance(content, AsyncIterator)
    return (content,) if isinstance(content, bytes) else content


def framed(content: bytes | Iterable[bytes] | AsyncIterator[bytes]) -> bytes:
    """A body as it goes out: several pieces are chunks."""
    if isinstance(content, bytes):
        return content
    return b"".join([b"%x\r\n%b\r\n" % (len(each), each) for each in pieces_of(content) if each]) + b"0\r\n\r\n"
