"""Load on an HTTP server with keep-alive connections, no pipelining: by wrk, or by a small generator of our own."""

import asyncio
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to; `errors` counts failed sockets and answers that are not 200."""

    requests: int
    seconds: float
    errors: int
    generator: str

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def run_load(url: str, connections: int, seconds: float) -> Load:
    """Ask for the URL again and again on every connection for some seconds."""
    if shutil.which("wrk"):
        return wrk(url, connections, seconds)
    return asyncio.run(own_load(url, connections, seconds))


def wrk(url: str, connections: int, seconds: float) -> Load:
    """Load by wrk with one thread: on a small machine a second one takes the server's core."""
    whole = max(1, round(seconds))
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "10s", url]
    text = subprocess.run(argv, capture_output=True, text=True, timeout=whole + 30, check=True).stdout
    return parse_wrk(text)


def parse_wrk(text: str) -> Load:
    """Read wrk's report; ValueError if it is not one."""
    total = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", text)
    if total is None:
        raise ValueError(f"wrk said {text!r}")
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0}[total[3]]
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = sum(map(int, sockets.groups())) if sockets else 0
    return Load(int(total[1]), float(total[2]) * unit, errors + (int(refused[1]) if refused else 0), "wrk")


class Requester(asyncio.Protocol):
    """One connection that asks again as soon as an answer is complete."""

    def __init__(self, request: bytes) -> None:
        self._request, self._pending, self._missing_bytes = request, b"", 0
        self.answers, self.errors, self.done = 0, 0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._missing_bytes:
            self._missing_bytes -= len(data)
        else:
            self._pending += data
            head, found, rest = self._pending.partition(b"\r\n\r\n")
            if not found:
                return
            self._missing_bytes, self._pending = content_length(head) - len(rest), b""
            self.errors += not head.startswith(b"HTTP/1.1 200 ")
        if self._missing_bytes == 0 and not self.done:
            self.answers += 1
            self._transport.write(self._request)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.errors += not self.done

    def close(self) -> None:
        """Stop asking."""
        self.done = True
        self._transport.abort()


def content_length(head: bytes) -> int:
    """The length an answer's head announces; ValueError if it does not."""
    found = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    if found is None:
        raise ValueError(f"no Content-Length in {head!r}")
    return int(found[1])


async def own_load(url: str, connections: int, seconds: float) -> Load:
    """The same by asyncio: slower than wrk, so that it measures itself on the fastest servers."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    loop, requesters, started = asyncio.get_running_loop(), [], time.perf_counter()
    for _ in range(connections):
        _, requester = await loop.create_connection(lambda: Requester(request), parts.hostname or "", parts.port or 80)
        requesters.append(requester)
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - started
    for requester in requesters:
        requester.close()
    answers, errors = sum(each.answers for each in requesters), sum(each.errors for each in requesters)
    return Load(answers, elapsed, errors, "own")
