"""Answers GET /metrics and GET /health; it reads a request's first line and no more than it must of the rest."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import suppress

from trickles.drivers.addresses import shown

MOST_HEAD_BYTES = 4096
MOST_AT_ONCE = 16  # scrapes; one more is closed
PATIENCE_SECONDS = 5.0
_LINE = re.compile(rb"([A-Z]+) (/[!-~]{0,255}) HTTP/1\.[01]\r\n")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


class MetricsServer:
    """`pages` makes the body of each path."""

    def __init__(self, pages: dict[str, Callable[[], str]]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._busy = 0

    async def listen(self, host: str, port: int) -> None:
        """Answer there, on loopback if no host is named; OSError says what cannot be listened on.

        A successor may listen there too before this one is closed.
        """
        host = host or "127.0.0.1"
        try:
            self._server = await asyncio.start_server(self._answer, host, port, limit=MOST_HEAD_BYTES, reuse_port=True)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise OSError(error.errno, f"cannot listen on {shown((host, port))}: {why}") from None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._busy += 1
        try:
            if self._busy <= MOST_AT_ONCE:
                with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        writer.write(self._response(await _head(reader)))
                        await writer.drain()
        finally:
            self._busy -= 1
            writer.close()

    def _response(self, head: bytes | None) -> bytes:
        found = _LINE.match(head) if head is not None else None
        if found is None:
            return _rendered(400, "not a request that is understood here\n")
        method, path = found[1].decode(), found[2].decode().partition("?")[0]
        if path not in self._pages:
            return _rendered(404, "there are /metrics and /health\n", empty=method == "HEAD")
        if method not in ("GET", "HEAD"):
            return _rendered(405, "GET it\n", "Allow: GET, HEAD\r\n")
        return _rendered(200, self._pages[path](), empty=method == "HEAD")


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    """A request's head; None when it is too long."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return None


def _rendered(status: int, text: str, fields: str = "", *, empty: bool = False) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {_TEXT}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{fields}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + (b"" if empty else body)
