"""One GET over a byte stream: read the head, pass the body on as it comes, detect an early end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol, TextIO

from trickles.command import CommandFailed
from trickleweb.headers import Headers
from trickleweb.http1 import ChunkedState, decode_chunked
from trickleweb.limits import Limits

_MAX_HEAD_BYTES = 1 << 16
_READ_BYTES = 1 << 18
_ANY_LENGTH = Limits(max_body_bytes=1 << 62)


class Readable(Protocol):
    """A byte stream to read from."""

    async def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, b"" at the end."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response's head, and the bytes of the body that came with it."""

    status: int
    headers: Headers
    rest: bytes

    @property
    def length(self) -> int | None:
        """The Content-Length, None if absent or invalid."""
        text = self.headers.get("content-length", "") or ""
        return int(text) if text.isascii() and text.isdigit() else None


def request(target: str, authority: str) -> bytes:
    """Return the bytes of a GET; the connection ends after its response."""
    lines = (f"GET {target} HTTP/1.1", f"Host: {authority}", "User-Agent: trickleweb", "Connection: close", "", "")
    return "\r\n".join(lines).encode("ascii")


async def read_answer(stream: Readable) -> ResponseHead:
    """Return the head of the response; raise `CommandFailed` for anything else."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = await stream.read(_READ_BYTES)
        data += more
        if not more or len(data) > _MAX_HEAD_BYTES:
            raise CommandFailed("the server does not speak HTTP")
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise CommandFailed("the server does not speak HTTP")
    pairs = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return ResponseHead(int(rest[:3]), Headers(pairs), data[end + 4 :])


async def body(stream: Readable, answer: ResponseHead) -> AsyncIterator[bytes]:
    """Yield the body's bytes; raise `CommandFailed` if the stream ends before the body does."""
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
            raise CommandFailed(f"the transfer ended {left} bytes early")
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


_EVERY_SECONDS = 0.1
_BAR_CHARS = 24


def line(received_bytes: int, total_bytes: int | None, seconds: float, figures: dict[str, int | str]) -> str:
    """Return the progress line; `figures` are a connection's statistics, `total_bytes` is None if unknown."""
    rate = f"{received_bytes / max(seconds, 1e-3) / 1e6:7.1f} MB/s"
    failovers = figures.get("failovers", 0)
    moved = f", failovers: {failovers}" if failovers else ""
    replica = f"replica {figures.get('replica', '?')}{moved}"
    if total_bytes is None:
        return f"{received_bytes / 1e6:10.1f} MB {rate}  {replica}"
    share = received_bytes / total_bytes if total_bytes else 1.0
    done = int(share * _BAR_CHARS)
    return f"[{'=' * done:{_BAR_CHARS}}] {share:4.0%} {received_bytes / 1e6:8.1f} MB {rate}  {replica}"


class DownloadProgress:
    """A progress line, rewritten a few times a second; silent if `out` is None."""

    def __init__(self, out: TextIO | None, total_bytes: int | None) -> None:
        self._out = out
        self._total_bytes = total_bytes
        self._begun = self._shown = time.monotonic()
        self._width = 0

    def update(self, received_bytes: int, figures: Callable[[], dict[str, int | str]], *, last: bool = False) -> None:
        """Show the progress if it is time to; only then are the figures read."""
        now = time.monotonic()
        if self._out is None or not (last or now - self._shown >= _EVERY_SECONDS):
            return
        self._shown = now
        text = line(received_bytes, self._total_bytes, now - self._begun, figures())
        self._out.write(f"\r{text:{self._width}}" + ("\n" if last else ""))
        self._out.flush()
        self._width = len(text)
