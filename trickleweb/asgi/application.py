"""Run an ASGI program (FastAPI, Starlette, Quart, Django ...) on replicas: its scope, its `receive` and its `send`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from trickleweb.asgi.hosted import Hosted
from trickleweb.asgi.lifespan import AsgiLifespan
from trickleweb.asgi.messages import DISCONNECT, EXTENSION, HTTP_SPEC_VERSION, VERSION, AsgiApp, Message, Scope
from trickleweb.asgi.outgoing import AsgiRun, Begun, ProgramError, begun_with, body_of
from trickleweb.headers import Headers
from trickleweb.http1.render import render_field
from trickleweb.request import Request

_START, _BODY = "http.response.start", "http.response.body"
_DEFAULT_PORTS = {"http": 80, "https": 443}


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


def http_scope(request: Request, *, root_path: str = "", state: Mapping[str, Any] | None = None) -> Scope:
    """Return the scope of a request; `state` comes from the program's lifespan.

    `server` is the host that the client asked for and the client's port is 0, since both would differ between replicas.
    The extension `trickleweb.request` has `now` (microseconds), `idempotency_key` and `entropy(label, byte_count)`, all
    equal when the request is run again.
    """
    head, mount = request.head, mount_of(request)
    setting = request.setting
    known = {"now": setting.now, "idempotency_key": setting.idempotency_key, "entropy": request.entropy}
    return {
        "type": "http",
        "asgi": {"version": VERSION, "spec_version": HTTP_SPEC_VERSION},
        "http_version": f"{head.version[0]}.{head.version[1]}",
        "server": server_of(request),
        "client": (setting.peer, 0) if setting.peer else None,
        "scheme": head.scheme,
        "method": head.method,
        "root_path": root_path + mount,
        "path": root_path + (mount + request.path if mount else unquote(head.raw_path)),
        "raw_path": root_path.encode("ascii") + head.raw_path.encode("ascii"),
        "query_string": head.query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers.pairs],
        "state": dict(state or {}),
        "extensions": {EXTENSION: known},
    }


def mount_of(request: Request) -> str:
    """Return the decoded part of the path above the mount, "" if there is none."""
    whole = request.head.path
    return "" if request.path == whole else whole.removesuffix(request.path)


def server_of(request: Request) -> tuple[str, int]:
    """Return the host and port that the client asked for."""
    name, colon, port = request.head.host.rpartition(":")
    if not colon or name.endswith(":") or port.endswith("]"):  # an IPv6 address has colons of its own
        name, port = request.head.host, ""
    return name.strip("[]") or "localhost", int(port) if port else _DEFAULT_PORTS.get(request.head.scheme, 80)


class AsgiReceiver:
    """`receive`: the body in pieces, once; after the end of the response, or the client, `http.disconnect`."""

    def __init__(self, request: Request, outgoing: AsgiRun) -> None:
        self._pieces: AsyncIterator[bytes] | None = body_of(request, outgoing)
        self._next: bytes | None = None
        self._outgoing = outgoing

    async def __call__(self) -> Message:
        if self._pieces is None:
            await self._outgoing.until_disconnected()
        if self._outgoing.over or self._outgoing.disconnected:
            return dict(DISCONNECT)
        pieces = self._pieces
        assert pieces is not None
        piece = b"" if self._next is None else self._next
        self._next = await anext(pieces, None)
        if not piece and self._next is not None:
            piece, self._next = self._next, await anext(pieces, None)
        if self._next is None:
            self._pieces = None
        return {"type": "http.request", "body": piece, "more_body": self._next is not None}


class AsgiSender:
    """`send`: a start, then the body; any other message raises in the program."""

    def __init__(self, outgoing: AsgiRun) -> None:
        self._outgoing = outgoing
        self._completed = False

    async def __call__(self, message: Message) -> None:
        """Accept a message; raise `ProgramError` for one out of order."""
        outgoing, kind = self._outgoing, message.get("type")
        if self._completed:
            raise ProgramError(f"unexpected ASGI message {kind!r}: the response is complete")
        try:
            if outgoing.gone:
                await outgoing.write(b"")
            elif not outgoing.begun:
                _check_kind(kind, _START)
                outgoing.begin(_begun(message))
            else:
                _check_kind(kind, _BODY)
                self._completed = not message.get("more_body", False)
                await outgoing.write(_data(message), last=self._completed)
        except Exception as error:
            outgoing.fail(error)
            raise


def _check_kind(kind: object, expected: str) -> None:
    if kind != expected:
        raise ProgramError(f"expected the ASGI message {expected!r}, and got {kind!r}")


def _begun(message: Message) -> Begun:
    status = message.get("status")
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise ProgramError(f"{status!r} is not the status of a final response")
    return begun_with(status, _headers(message.get("headers", ())))


def _headers(pairs: Iterable[Any]) -> Headers:
    try:
        made = tuple((bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in pairs)
    except (TypeError, ValueError):
        raise ProgramError("headers are pairs of bytes, name and value") from None
    for name, value in made:
        render_field(name, value)
    return Headers(made)


def _data(message: Message) -> bytes:
    body = message.get("body", b"")
    if not isinstance(body, bytes | bytearray | memoryview):
        raise ProgramError(f"a body is bytes, not {type(body).__name__}")
    return bytes(body)
