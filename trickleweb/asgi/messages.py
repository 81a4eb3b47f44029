"""The types of ASGI, and the versions that are spoken here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

VERSION = "3.0"
HTTP_SPEC_VERSION = "2.3"  # after a disconnect `receive` reports it and `send` does nothing
LIFESPAN_SPEC_VERSION = "2.0"
DISCONNECT: Message = {"type": "http.disconnect"}
EXTENSION = "trickleweb.request"  # the scope's extension
