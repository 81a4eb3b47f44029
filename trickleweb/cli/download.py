"""One GET over a byte stream: its head read, its body passed on as it comes, an end before its time told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from trickleweb.cli.parser import CommandFailed
from trickleweb.headers import Headers
from trickleweb.http1 import ChunkedState, decode_chunked
from trickleweb.limits import Limits

_MAX_HEAD_BYTES = 1 << 16
_READ_BYTES = 1 << 18
_ANY_LENGTH = Limits(max_body_bytes=1 << 62)


class Readable(Protocol):
    """A stream's reading side."""

    async def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, b"" at the end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response's head, and what came behind it with the same read."""

    status: int
    headers: Headers
    rest: bytes

    @property
    def length(self) -> int | None:
        """What Content-Length says, None if nothing sensible."""
        text = self.headers.get("content-length", "") or ""
        return int(text) if text.isascii() and text.isdigit() else None


def request(target: str, authority: str) -> bytes:
    """The GET, behind which the connection ends."""
    lines = (f"GET {target} HTTP/1.1", f"Host: {authority}", "User-Agent: trickleweb", "Connection: close", "", "")
    return "\r\n".join(lines).encode("ascii")


async def read_answer(stream: Readable) -> Answer:
    """The head of the response; `CommandFailed` if what comes is none."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = await stream.read(_READ_BYTES)
        data += more
        if not more or len(data) > _MAX_HEAD_BYTES:
            raise CommandFailed("what answers does not speak HTTP")
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise CommandFailed("what answers does not speak HTTP")
    pairs = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Answer(int(rest[:3]), Headers(pairs), data[end + 4 :])


async def body(stream: Readable, answer: Answer) -> AsyncIterator[bytes]:
    """The body's bytes; `CommandFailed` if the stream ends before the body does."""
    if "chunked" in answer.headers.tokens("transfer-encoding"):
        async for data in _chunked(stream, answer.rest):
            yield data
        return
    left, data = answer.length, answer.rest
    while left is None or left > 0:
        if data:
            yield data if left is None else data[:left]
            left = None if left is None else left - len(data)
        if left is not None and left <= 0:
            return
        data = await stream.read(_READ_BYTES)
        if not data and left is not None:
            raise CommandFailed(f"the transfer ended {left} bytes before its end")
        if not data:
            return


async def _chunked(stream: Readable, held: bytes) -> AsyncIterator[bytes]:
    state = ChunkedState()
    while True:
        decoded = decode_chunked(held, state, _ANY_LENGTH)
        for piece in decoded.pieces:
            yield piece
        if decoded.done:
            return
        state, held = decoded.state, held[decoded.consumed :]
        more = await stream.read(_READ_BYTES)
        if not more:
            raise CommandFailed("the transfer ended before its last chunk")
        held += more
