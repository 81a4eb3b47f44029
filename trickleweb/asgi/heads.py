"""An ASGI scope as the head of a request, and `receive` as its body."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

from trickleweb.asgi.messages import Receive, Scope
from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.http1.target import decode_path
from trickleweb.messages import Chunked, Framing, Length, NoBody, RequestHead

_PATH_SAFE = "/!$&'()*+,;=:@%"


def head_of(scope: Scope) -> RequestHead:
    """The head that a server has parsed; `HTTPError` 400 for a path that is refused here."""
    raw_path = _raw_path(scope)
    query = bytes(scope.get("query_string", b"")).decode("latin-1")
    headers = Headers(tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]))
    major, _, minor = str(scope.get("http_version", "1.1")).partition(".")
    return RequestHead(
        method=scope["method"],
        target=f"{raw_path}?{query}" if query else raw_path,
        path="*" if raw_path == "*" else decode_path(raw_path),
        raw_path=raw_path,
        query=query,
        version=(int(major), int(minor or 0)),
        headers=headers,
        host=(headers.get("host") or "").lower(),
        framing=_framing(headers),
        expect_continue=False,
        keep_alive=True,
        head_bytes=0,
        scheme=scope.get("scheme", "http"),
    )


class Inbox:
    """What comes by `receive`: the body, then the news that the client is gone."""

    def __init__(self, receive: Receive, framing: Framing) -> None:
        self.whole = isinstance(framing, NoBody)  # nothing of the body is still to come
        self._receive = receive

    async def body(self) -> AsyncIterator[bytes]:
        """The body in pieces; `HTTPError` 400 if it does not come whole."""
        while not self.whole:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise HTTPError(400, "The request is cut.", close=True)
            self.whole = not message.get("more_body", False)
            yield message.get("body", b"")

    async def until_gone(self) -> None:
        """Wait until the client has closed its connection; only when its body is whole."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _raw_path(scope: Scope) -> str:
    """The path below where the program is mounted, as the client sent it if the server tells that."""
    raw = scope.get("raw_path")
    path = bytes(raw).decode("latin-1") if raw else quote(scope["path"], safe=_PATH_SAFE)
    path, root = path.partition("?")[0], scope.get("root_path", "").rstrip("/")
    return path[len(root) :] or "/" if root and path.startswith(root) else path


def _framing(headers: Headers) -> Framing:
    """The server has checked it: what it says is so."""
    if "transfer-encoding" in headers:
        return Chunked()
    told = headers.get("content-length") or "0"
    try:
        return Length(int(told)) if int(told) else NoBody()
    except ValueError:
        raise HTTPError(400, "invalid Content-Length") from None
