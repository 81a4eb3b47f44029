"""An `Application` as an ASGI 3 program, for uvicorn and other ASGI servers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from trickles.keyring import Keyring
from trickleweb.application import Application
from trickleweb.asgi.hosted import log_error
from trickleweb.asgi.messages import AsgiApp, Receive, Scope, Send
from trickleweb.asgi.scope import Inbox, head_of, is_framed_by_streams
from trickleweb.bodies import Complete
from trickleweb.errors import HTTPError
from trickleweb.http1 import sent_fields
from trickleweb.ledger import Ledger
from trickleweb.messages import NoBody
from trickleweb.request import Setting
from trickleweb.server.direct import answered, unread
from trickleweb.server.run import ResolvedResponse, Responder


def as_asgi(
    application: Application,
    *,
    ring: Callable[[], Keyring] | None = None,
    ledger: Ledger | None = None,
    on_error: Callable[[Exception], None] = log_error,
) -> AsgiApp:
    """Return the application as an ASGI program; its responses do not resume there.

    All kinds of body, HEAD, limits on heads and bodies, lifespan and errors are as on replicas: what they would refuse
    to send is a 500 here, too. The framing of requests and responses, and the fields Date and Server, are the server's.
    `ring` and `ledger` are those of the requests. `on_error` is called with exceptions.
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
        self._responder = Responder(application, on_error)
        self._ring = ring
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._answer(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})  # before accepting: 403
            case other:
                raise NotImplementedError(f"unknown scope {other!r}")

    async def _live(self, receive: Receive, send: Send) -> None:
        application = self._responder.application
        steps = {"startup": application.startup, "shutdown": application.shutdown}
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
        now = time.time_ns() // 1000
        try:
            head = head_of(scope)
        except HTTPError as error:
            inbox = Inbox(receive, NoBody())
            found = unread(error, has_body=scope["method"] != "HEAD")
        else:
            inbox = Inbox(receive, head.framing)
            seed = os.urandom(32)
            context = Setting(
                now=now,
                seed=lambda: seed,
                peer=(scope.get("client") or ("",))[0],
                idempotency_key=os.urandom(16).hex(),
                keyring=self._ring,
                ledger=self._ledger,
            )
            found = await answered(self._responder, head, b"" if inbox.whole else inbox.body(), context)
        if is_framed_by_streams(scope):
            found = found._replace(delivery=found.delivery._replace(keep_alive=True))
        await self._send(found, inbox, send)

    async def _send(self, found: ResolvedResponse, inbox: Inbox, send: Send) -> None:
        delivery = found.delivery._replace(chunked=False, http10=False)
        fields = [(name.lower(), value) for name, value in sent_fields(found.headers, delivery)]
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        await send({"type": "http.response.start", "status": found.status, "headers": raw})
        if isinstance(found.body, Complete):
            await send({"type": "http.response.body", "body": found.body.data})
            return
        async with aclosing(found.content(self._responder.application.read)) as content:
            await _watched(_stream(content, send), inbox)
        await send({"type": "http.response.body", "body": b""})


async def _stream(content: AsyncGenerator[bytes, None], send: Send) -> None:
    async for chunk in content:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _watched(work: Coroutine[Any, Any, None], inbox: Inbox) -> None:
    """Do the work until the client disconnects. Both read the inbox while its body is not whole."""
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
