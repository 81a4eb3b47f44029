"""The words of the ASGI specification, version 3 (https://asgi.readthedocs.io)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
ByteHeaders = list[tuple[bytes, bytes]]

VERSION = "3.0"
HTTP_SPEC_VERSION = "2.3"  # a client that is gone shows in `receive`, and `send` does nothing any more
LIFESPAN_SPEC_VERSION = "2.0"
DISCONNECT: Message = {"type": "http.disconnect"}
EXTENSION = "trickleweb.request"  # what a server of this kind knows of a request beyond HTTP
