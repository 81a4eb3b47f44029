"""Metrics of a gateway in the text format of Prometheus (version 0.0.4), and the server of /metrics and /health.

The server parses only the first line of a request.
"""

from __future__ import annotations

import asyncio
import os
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate, chain

from trickles.drivers.addresses import Address, shown
from trickles.gateway.accesslog import ConnectionRecord
from trickles.gateway.context import Statistics

STALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MOST_LABELS = 512  # replicas, and reasons; more are counted as `other`
OTHER = "other"
MOST_HEAD_BYTES = 4096
MOST_AT_ONCE = 16  # scrapes; more are closed
PATIENCE_SECONDS = 5.0
_LINE = re.compile(rb"([A-Z]+) (/[!-~]{0,255}) HTTP/1\.[01]\r\n")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_PREFIX = "trickles_gateway_"
_COUNTERS = {
    "accepted": "Connections accepted.",
    "refused": "Connections refused, over a bound.",
    "completed": "Connections ended by the server.",
    "reset": "Connections reset by the user.",
    "timed_out": "Requests not complete in time.",
    "failovers": "Requests that another replica answered.",
}
Labelled = Mapping[str, int | float]


class Metrics:
    """Gathers records of ended connections, and renders them with the gateway's counters."""

    def __init__(self) -> None:
        self._packets: Counter[str] = Counter()
        self._latencies: dict[str, float] = {}
        self._stalls = [0] * (len(STALL_SECONDS) + 1)
        self._stalled_us = 0

    def note(self, record: ConnectionRecord) -> None:
        for replica, packets in record.replicas.items():
            self._packets[bounded(shown(replica), self._packets)] += packets
        for replica, latency in record.latencies_us.items():
            self._latencies[bounded(shown(replica), self._latencies)] = latency / 1e6
        self._stalls[bisect_left(STALL_SECONDS, record.longest_stall_us / 1e6)] += 1
        self._stalled_us += record.longest_stall_us

    def render(self, statistics: Statistics, connections: int, ongoing: Iterable[Mapping[Address, int]]) -> str:
        """Return the page; `ongoing` has packets by replica of the open `connections`."""
        packets = Counter(self._packets)
        for each in ongoing:
            for replica, count in each.items():
                packets[bounded(shown(replica), packets)] += count
        parts = [_family("connections", "gauge", "Connections open now.", {"": connections})]
        for name, about in _COUNTERS.items():
            parts.append(_family(f"{name}_total", "counter", about, {"": getattr(statistics, name)}))
        octets = {"in": statistics.bytes_in, "out": statistics.bytes_out}
        parts += [
            _family("failed_total", "counter", "Transfers that could not go on.", _reasons(statistics), "reason"),
            _family("bytes_total", "counter", "Bytes from and to users.", octets, "direction"),
            self._stall_family(),
            _family("replica_packets_total", "counter", "Packets from each replica.", packets, "replica"),
            _family("replica_srtt_seconds", "gauge", "Smoothed round trip, as last seen.", self._latencies, "replica"),
        ]
        return "".join(chain.from_iterable(parts))

    def _stall_family(self) -> Iterator[str]:
        name = f"{_PREFIX}stall_seconds"
        yield f"# HELP {name} Longest stall of each connection, once it is over.\n# TYPE {name} histogram\n"
        for bound, count in zip((*map(str, STALL_SECONDS), "+Inf"), accumulate(self._stalls), strict=True):
            yield f'{name}_bucket{{le="{bound}"}} {count}\n'
        yield f"{name}_sum {self._stalled_us / 1e6}\n{name}_count {sum(self._stalls)}\n"


def bounded(label: str, known: Mapping[str, object]) -> str:
    """Return the label, or `other` when there would be too many."""
    return label if label in known or len(known) < MOST_LABELS else OTHER


def _family(name: str, kind: str, about: str, values: Labelled, label: str = "") -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {about}\n# TYPE {_PREFIX}{name} {kind}\n"
    for of, value in values.items():
        yield f"{_PREFIX}{name}{_labelled(label, of)} {value}\n"


def _labelled(label: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{{label}="{escaped}"}}' if label else ""


def _reasons(statistics: Statistics) -> dict[str, int]:
    """Count reasons without their details: labels must stay few."""
    found: Counter[str] = Counter()
    for reason, count in statistics.reasons.items():
        found[bounded(reason.partition(":")[0], found)] += count
    return dict(found)


class MetricsServer:
    """An HTTP server of a few pages; `pages` makes the body of each path."""

    def __init__(self, pages: dict[str, Callable[[], str]]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._busy = 0

    async def listen(self, host: str, port: int) -> None:
        """Listen there, on loopback without a host; OSError says where it failed.

        A successor may listen there too before this server is closed.
        """
        host = host or "127.0.0.1"
        try:
            self._server = await asyncio.start_server(self._answer, host, port, limit=MOST_HEAD_BYTES, reuse_port=True)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise OSError(error.errno, f"cannot listen on {shown((host, port))}: {why}") from None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
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
            return _rendered(400, "not an HTTP request for this server\n")
        method, path = found[1].decode(), found[2].decode().partition("?")[0]
        if path not in self._pages:
            return _rendered(404, "there are /metrics and /health\n", empty=method == "HEAD")
        if method not in ("GET", "HEAD"):
            return _rendered(405, "GET it\n", "Allow: GET, HEAD\r\n")
        return _rendered(200, self._pages[path](), empty=method == "HEAD")


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return None


def _rendered(status: int, text: str, fields: str = "", *, empty: bool = False) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {_TEXT}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{fields}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + (b"" if empty else body)
