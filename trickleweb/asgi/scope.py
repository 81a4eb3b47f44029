"""Scopes of ASGI servers as request heads, and their messages as bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote

from trickleweb.asgi.messages import Receive, Scope
from trickleweb.errors import HTTPError
from trickleweb.http1 import check_head
from trickleweb.http1.target import decode_path
from trickleweb.limits import PROGRAM_LIMITS
from trickleweb.messages import Chunked, Framing, NoBody, RequestHead

_PATH_SAFE = "/!$&'()*+,;=:@%"


def head_of(scope: Scope) -> RequestHead:
    """Return the head that a server has parsed, checked as on replicas; raise `HTTPError` as `parse_head_untrusted`.

    A scope shows no line ends, blanks or framing: these are the server's to check. HTTP/2 has the fields of HTTP/1.1,
    and bodies without an announced length.
    """
    raw_path, query = _raw_path(scope), bytes(scope.get("query_string", b""))
    target = b"%b?%b" % (raw_path, query) if query else raw_path
    minor = 0 if scope.get("http_version") == "1.0" else 1
    head = check_head(scope["method"].encode(), target, minor, scope["headers"], PROGRAM_LIMITS)
    if is_framed_by_streams(scope) and "content-length" not in head.headers:
        head = replace(head, framing=Chunked())
    path = _below(scope.get("root_path", "").rstrip("/"), head.raw_path)
    if path != head.raw_path:
        target_below = f"{path}?{head.query}" if head.query else path
        head = replace(head, target=target_below, path=decode_path(path), raw_path=path)
    return replace(head, scheme=scope.get("scheme", "http"))


def is_framed_by_streams(scope: Scope) -> bool:
    """Return whether the request came by HTTP/2 or 3, where no field frames a message or ends a connection."""
    return not str(scope.get("http_version", "1.1")).startswith("1.")


class Inbox:
    """Messages from `receive`: the body, then the disconnect."""

    def __init__(self, receive: Receive, framing: Framing) -> None:
        self.whole = isinstance(framing, NoBody)  # nothing of the body is still to come
        self._receive = receive

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces; raise `HTTPError` 400 if it is cut."""
        while not self.whole:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise HTTPError(400, "The request is cut.", close=True)
            self.whole = not message.get("more_body", False)
            yield message.get("body", b"")

    async def until_gone(self) -> None:
        """Wait until the client disconnects; only after the whole body."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _raw_path(scope: Scope) -> bytes:
    """Return the path as the client sent it, if the server passes that."""
    raw = scope.get("raw_path")
    return bytes(raw).partition(b"?")[0] if raw else quote(scope["path"], safe=_PATH_SAFE).encode()


def _below(root: str, path: str) -> str:
    """Return the path below a mount."""
    return path[len(root) :] or "/" if root and path.startswith(root) else path
