"""Metrics of a gateway: what they count, and who may ask for them and how."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.support.loop import on_loop, until
from trickles.gateway.accesslog import Completion, ConnectionRecord
from trickles.gateway.context import Statistics
from trickles.gateway.metrics import MOST_AT_ONCE, MOST_HEAD_BYTES, MOST_LABELS, Metrics, MetricsServer

A, B = ("192.0.2.1", 8443), ("2001:db8::1", 8443)
SAMPLE = re.compile(r'trickles_gateway_[a-z_]+(\{[a-z]+="[^"\n]*"\})? -?[0-9.e+-]+')


def account(**given: object) -> ConnectionRecord:
    """Of a connection that is over."""
    usual: dict[str, object] = {"client": "c", "began": 0.0, "duration": 1.0, "completion": Completion.COMPLETE}
    return ConnectionRecord(**{**usual, **given})  # type: ignore[arg-type]


def samples(text: str) -> dict[str, float]:
    """The samples of a page, each of which must be well formed and announced."""
    found: dict[str, float] = {}
    families: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            families.add(line.split()[2])
        elif not line.startswith("# HELP "):
            assert SAMPLE.fullmatch(line), line
            name, value = line.rsplit(" ", 1)
            family = re.sub(r"_(bucket|sum|count)$", "", name.partition("{")[0])
            assert family in families
            assert name not in found
            found[name.removeprefix("trickles_gateway_")] = float(value)
    return found


def test_what_has_ended_and_what_goes_on_are_counted_together() -> None:
    metrics = Metrics()
    metrics.note(account(replicas={A: 5}, latencies_us={A: 20_000}, longest_stall_us=30_000))
    metrics.note(account(replicas={A: 1, B: 2}, latencies_us={B: 1_000}, longest_stall_us=60_000_000))
    statistics = Statistics(accepted=4, refused=1, completed=2, failed=3, bytes_in=7, bytes_out=9, failovers=1)
    statistics.reasons = {"gone": 1, "no socket: x": 1, "no socket: y": 1}
    found = samples(metrics.render(statistics, 2, [{A: 10}, {}]))
    assert found["connections"] == 2
    assert found["accepted_total"] == 4
    assert found['failed_total{reason="no socket"}'] == 2
    assert found['failed_total{reason="gone"}'] == 1
    assert found['bytes_total{direction="out"}'] == 9
    assert found['replica_packets_total{replica="192.0.2.1:8443"}'] == 16
    assert found['replica_packets_total{replica="[2001:db8::1]:8443"}'] == 2
    assert found['replica_srtt_seconds{replica="192.0.2.1:8443"}'] == 0.02
    assert found['stall_seconds_bucket{le="0.025"}'] == 0
    assert found['stall_seconds_bucket{le="0.05"}'] == 1
    assert found['stall_seconds_bucket{le="30.0"}'] == 1
    assert found['stall_seconds_bucket{le="+Inf"}'] == found["stall_seconds_count"] == 2
    assert found["stall_seconds_sum"] == 60.03


def test_labels_are_bounded_and_escaped() -> None:
    metrics, statistics = Metrics(), Statistics()
    for port in range(2 * MOST_LABELS):
        metrics.note(account(replicas={("192.0.2.1", port): 1}))
        statistics.fail(f"reason {port}")
    statistics.reasons = {'a"b\\c\nd': 1, **statistics.reasons}
    text = metrics.render(statistics, 0, [])
    assert text.count("replica_packets_total{") == MOST_LABELS + 1
    assert f'replica_packets_total{{replica="other"}} {MOST_LABELS}\n' in text
    assert text.count("failed_total{") == MOST_LABELS + 1
    assert 'reason="a\\"b\\\\c\\nd"' in text


@asynccontextmanager
async def serving() -> AsyncIterator[MetricsServer]:
    """A server of two pages."""
    server = MetricsServer({"/metrics": lambda: "m 1\n", "/health": lambda: "ok\n"})
    await server.listen("", 0)
    try:
        yield server
    finally:
        server.close()


async def asked(server: MetricsServer, request: bytes) -> bytes:
    """The whole response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    response = await reader.read()
    writer.close()
    await writer.wait_closed()
    return response


GOOD = [
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"m 1\n"),
    (b"GET /health?x HTTP/1.0\r\n\r\n", 200, b"ok\n"),
    (b"HEAD /metrics HTTP/1.1\r\n\r\n", 200, b""),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 405, b"GET it\n"),
    (b"GET / HTTP/1.1\r\n\r\n", 404, b"there are /metrics and /health\n"),
    (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", 404, b"there are /metrics and /health\n"),
    (b"junk\r\n\r\n", 400, b"not an HTTP request for this server\n"),
    (b"GET /metrics HTTP/2.0\r\n\r\n", 400, b"not an HTTP request for this server\n"),
    (b"GET /\xff HTTP/1.1\r\n\r\n", 400, b"not an HTTP request for this server\n"),
    (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, b"not an HTTP request for this server\n"),
]


@pytest.mark.parametrize(("request_", "status", "body"), GOOD)
def test_requests_are_answered(request_: bytes, status: int, body: bytes) -> None:
    async def test() -> None:
        async with serving() as server:
            head, _, rest = (await asked(server, request_)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert b"Connection: close" in head
            assert rest == body

    on_loop(test())


def test_a_head_without_end_is_refused() -> None:
    async def test() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /metrics HTTP/1.1\r\n" + b"x" * 2 * MOST_HEAD_BYTES)
            with suppress(ConnectionResetError):  # what it did not read, it leaves
                assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
            writer.transport.abort()

    on_loop(test())


def test_too_many_at_once_are_closed_and_others_go_on() -> None:
    async def test() -> None:
        async with serving() as server:
            held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MOST_AT_ONCE)]
            await until(lambda: server._busy == MOST_AT_ONCE)
            assert await asked(server, b"") == b""
            held[0][1].write(b"GET /health HTTP/1.1\r\n\r\n")
            assert (await held[0][0].read()).endswith(b"ok\n")
            assert (await asked(server, b"GET /health HTTP/1.1\r\n\r\n")).endswith(b"ok\n")
            for _, writer in held:
                writer.transport.abort()

    on_loop(test())


def test_two_of_one_user_may_listen_at_one_place() -> None:
    """A gateway and its successor do, for a moment."""

    async def test() -> None:
        async with serving() as first:
            second = MetricsServer({})
            await second.listen("127.0.0.1", first.port)
            second.close()
            with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:9: "):
                await MetricsServer({}).listen("192.0.2.1", 9)

    on_loop(test())
