"""An `Application` as an ASGI 3 program: it runs under uvicorn and every other server of that kind."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from trickles.keyring import Keyring
from trickleweb.application import Application
from trickleweb.asgi.bodies import file_plan, made, pieces, whole
from trickleweb.asgi.heads import Inbox, head_of
from trickleweb.asgi.hosted import log_error
from trickleweb.asgi.interface import AsgiApp, Receive, Scope, Send
from trickleweb.bodies import FileBody, Stepped, Streamed
from trickleweb.errors import HTTPError
from trickleweb.http1 import decide_delivery
from trickleweb.ledger import Ledger
from trickleweb.messages import Length, NoBody
from trickleweb.messages import Request as Head
from trickleweb.request import Request, Setting
from trickleweb.responses import Response, error_response
from trickleweb.responses.planned import planned

_FRAMING = ("connection", "content-length", "keep-alive", "transfer-encoding", "upgrade")
_Made = AsyncGenerator[bytes, None]
_Sized = tuple[Response, int | None, bytes | _Made]  # with the length and the bytes of its body


def as_asgi(
    application: Application,
    *,
    ring: Callable[[], Keyring] | None = None,
    ledger: Ledger | None = None,
    on_error: Callable[[Exception], None] = log_error,
) -> AsgiApp:
    """The application under an ASGI server, where its responses do not resume, as nothing does there.

    All kinds of body, HEAD, limits on bodies, lifespan and errors are as on replicas. `ring` and `ledger` are what
    requests find as their fleet's. `on_error` hears of exceptions.
    """
    return _Outward(application, ring, ledger, on_error)


class _Outward:
    def __init__(
        self,
        application: Application,
        ring: Callable[[], Keyring] | None,
        ledger: Ledger | None,
        on_error: Callable[[Exception], None],
    ) -> None:
        self._application = application
        self._ring = ring
        self._ledger = ledger
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._answer(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})  # before it is accepted: 403
            case other:
                raise NotImplementedError(f"no scope {other!r} is known here")

    async def _live(self, receive: Receive, send: Send) -> None:
        steps = {"startup": self._application.startup, "shutdown": self._application.shutdown}
        what = ""
        while what != "shutdown":
            what = (await receive())["type"].rpartition(".")[2]
            try:
                await steps[what]()
            except Exception as error:
                await send({"type": f"lifespan.{what}.failed", "message": f"{type(error).__name__}: {error}"})
                raise
            await send({"type": f"lifespan.{what}.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        inbox = Inbox(receive, NoBody())
        try:
            head = head_of(scope)
        except HTTPError as error:
            head = head_of({**scope, "raw_path": b"/", "path": "/"})
            found = await self._body(head, error_response(Request(head), error))
        else:
            inbox = Inbox(receive, head.framing)
            found = await self._sized(head, scope, inbox)
        await _send(head, found, inbox, send)

    async def _sized(self, head: Head, scope: Scope, inbox: Inbox) -> _Sized:
        """The response to a request, those for errors too, with its body at hand."""
        request = Request(head)
        try:
            terms = self._application.terms(head)
            if isinstance(head.framing, Length) and head.framing.byte_count > terms.max_body_bytes:
                raise HTTPError(413, f"The body is longer than {terms.max_body_bytes} bytes.", close=True)
            setting = Setting(
                now=time.time_ns() // 1000,
                seed=os.urandom(32),
                peer=(scope.get("client") or ("",))[0],
                idempotency_key=os.urandom(16).hex(),
                max_body_bytes=terms.max_body_bytes,
                keyring=self._ring,
                ledger=self._ledger,
            )
            request = Request(head, b"" if inbox.whole else inbox.body(), setting)
            return await self._body(head, await self._application.respond(request))
        except HTTPError as error:
            return await self._body(head, error_response(request, error))
        except Exception as error:  # noqa: BLE001 - a response of its own, whatever happened
            self._on_error(error)
            return await self._body(head, error_response(request, HTTPError(500)))

    async def _body(self, head: Head, response: Response) -> _Sized:
        body = response.body
        if isinstance(body, FileBody):
            plan = await file_plan(self._application, body, head)
            return planned(response, plan), plan.body_bytes, pieces(self._application, plan)
        if isinstance(body, Stepped | Streamed):
            return response, body.byte_count if isinstance(body, Streamed) else None, made(body)
        data = whole(self._application, body)
        return response, len(data), data


async def _send(head: Head, found: _Sized, inbox: Inbox, send: Send) -> None:
    response, size, data = found
    delivery = decide_delivery(head, response.status, size)
    headers = response.headers.without(*_FRAMING)
    if delivery.content_length is not None:
        headers = headers.added(("content-length", str(delivery.content_length)))
    if response.close:
        headers = headers.added(("connection", "close"))
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": response.status, "headers": raw})
    if isinstance(data, bytes):
        await send({"type": "http.response.body", "body": data if delivery.has_body else b""})
        return
    async with aclosing(data):
        if delivery.has_body:
            await _watched(_stream(data, send), inbox)
    await send({"type": "http.response.body", "body": b""})


async def _stream(data: _Made, send: Send) -> None:
    async for chunk in data:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _watched(work: Coroutine[Any, Any, None], inbox: Inbox) -> None:
    """Do the work, unless the client goes before it is done. Both read the inbox while its body is not whole."""
    if not inbox.whole:
        await work
        return
    tasks = [asyncio.create_task(work), asyncio.create_task(inbox.until_gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
