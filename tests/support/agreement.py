"""One application asked in three ways: by the test client, as an ASGI program, and on a fleet of virtual replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from trickleweb.application import Application
from trickleweb.asgi import as_asgi
from trickleweb.http1 import decode_chunked
from trickleweb.request import Setting
from trickleweb.testing import AsyncClient, IncompleteResponse, VirtualFleet
from trickleweb.testing.asking import Asked, RequestOptions, asked
from trickleweb.testing.collecting import exchange
from trickleweb.testing.cookies import CookieJar

SERVERS = frozenset({"date", "server"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a client sees of a response but Date and Server; `broken`: it ends before its end."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    broken: bool

    def without(self, name: str) -> Outcome:
        """The same without the fields of that name."""
        return replace(self, fields=tuple(field for field in self.fields if field[0] != name))


def outcome(status: int, fields: Iterable[tuple[str, str]], body: bytes, *, broken: bool) -> Outcome:
    """The outcome with its fields in one order; the values of one name keep theirs."""
    kept = [(name.lower(), value) for name, value in fields if name.lower() not in SERVERS]
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
    scope = scope_of(sent.head)
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


def scope_of(head: bytes) -> dict[str, Any]:
    """The scope that a server makes which checks nothing."""
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, target, version = line.split(b" ")
    raw_path, _, query = target.partition(b"?")
    fields = [(name, value.strip()) for name, _, value in (each.partition(b":") for each in lines)]
    return {
        "type": "http", "http_version": version[-3:].decode(), "method": method.decode(), "scheme": "http",
        "path": unquote(raw_path.decode("latin-1")), "raw_path": raw_path, "query_string": query,
        "client": ("127.0.0.1", 1), "headers": [(name.lower(), value) for name, value in fields],
    }  # fmt: skip


def outcomes_of_head(make: Callable[[], Application], head: bytes) -> dict[str, Outcome]:
    """What each of the three ways gives for a request without a body, of any head."""
    sent = Asked("", "", head, b"")
    return {
        "client": asyncio.run(by_exchange(make(), head)),
        "asgi": asyncio.run(by_asgi(make(), sent)),
        "replicas": asyncio.run(by_replicas(make, sent)),
    }


async def by_exchange(application: Application, head: bytes) -> Outcome:
    """What the test client makes of a head."""
    done = await exchange(application, head, b"", Setting())
    return outcome(done.status, done.headers.pairs, done.content, broken=False)


async def by_replicas(make: Callable[[], Application], sent: Asked) -> Outcome:
    """What a client gets from a fleet that ends its input after the request: the connection ends, too."""
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
